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
TUNED = {"joint": 1.2, "bone": 1.2, "joint_motion": 0.5, "bone_motion": 0.5}
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    not AUTSL.exists(),
    reason=f"{AUTSL} does not exist (set SLR_SHARED_DATA to the shared data folder)",
)


def fused(folder: Path, protocol: str, track: dict[str, object], names: dict[str, str]) -> float:
    """Top-1 on test of a track of imported streams; `names` has the protocol of each."""
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
            name: {"model": "imported", "reads": ["keypoints"], "test": f"{name}.h5"}
            for name in names
        },
        "tracks": {"rgb": {"fusion": "published", **track}},
    }
    path = folder / f"{protocol}.yaml"
    path.write_text(yaml.safe_dump(config))
    for name, made in names.items():
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
    names = dict.fromkeys(A, "strict")
    assert round(100 * fused(tmp_path, "strict", {"streams": A}, names), 2) == 96.47


def test_the_skeleton_score_of_test(tmp_path: Path) -> None:
    total = sum(A.values())
    track = {
        "streams": {f"{name}_finetuned": weight for name, weight in TUNED.items()},
        "untuned": {name: 1.5 * weight / total for name, weight in A.items()},
    }
    names = {
        **{f"{name}_finetuned": "challenge" for name in TUNED},
        **dict.fromkeys(A, "strict"),
    }
    assert round(100 * fused(tmp_path, "challenge", track, names), 2) == 96.90
