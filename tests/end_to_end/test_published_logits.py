"""The published SL-GCN logits as streams of a track (commands of docs/explanation/parity.md)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from slr_pipeline.cli.main import main
from tests.shared_data import SHARED

AUTSL = SHARED / "autsl"
A = {"joint": 1.0, "bone": 0.9, "joint_motion": 0.5, "bone_motion": 0.5}
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    not AUTSL.exists(),
    reason=f"{AUTSL} does not exist (set SLR_SHARED_DATA to the shared data folder)",
)


def fused(
    folder: Path, protocol: str, track: dict[str, object], streams: dict[str, dict[str, str]]
) -> float:
    """Top-1 on test of a track of imported `streams`: published file by key of the config."""
    data = {
        "layout": "autsl",
        "root": str(AUTSL),
        "labels": {"val": "validation_labels.csv"},
    }
    config = {
        "name": "published",
        "results": protocol,
        "protocol": protocol,
        "data": data,
        "streams": {
            stream: {
                "model": "imported",
                "reads": ["keypoints"],
                **{key: f"{name}.h5" for key, name in files.items()},
            }
            for stream, files in streams.items()
        },
        "tracks": {"rgb": {"fusion": "published", **track}},
    }
    path = folder / f"{protocol}.yaml"
    path.write_text(yaml.safe_dump(config))
    for name in {name for files in streams.values() for name in files.values()}:
        made = "challenge" if name.endswith("_finetuned") else "strict"
        source, out = str(AUTSL / "samslr_gcn" / f"{name}.pkl"), str(folder / f"{name}.h5")
        flags = ["--config", str(path), "--split", "test", "--protocol", made]
        main(["import-logits", source, out, *flags, "--reads", "keypoints"])
    command = [sys.executable, "-m", "snakemake", "submission", "--cores", "1"]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--configfile", str(path)]
    done = subprocess.run(
        [*command, "--directory", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads((folder / protocol / "tracks/rgb/metrics.json").read_text())
    assert metrics["protocol"] == protocol
    assert metrics["test"]["samples"] == 3742
    return float(metrics["test"]["top1"])


def test_four_streams_before_fine_tuning(tmp_path: Path) -> None:
    streams = {name: {"test": name} for name in A}
    assert round(100 * fused(tmp_path, "strict", {"streams": A}, streams), 2) == 96.47


def test_the_skeleton_score_of_test(tmp_path: Path) -> None:
    """The weights of the shipped config, without another stream."""
    shipped = yaml.safe_load((ROOT / "config/autsl_published.yaml").read_text())["tracks"]["rgb"]
    tuned = {name: shipped["streams"][name] for name in A}
    streams = {name: {"test": f"{name}_finetuned", "untuned": name} for name in A}
    track = {"streams": tuned, "untuned": shipped["untuned"]}
    assert round(100 * fused(tmp_path, "challenge", track, streams), 2) == 96.90
