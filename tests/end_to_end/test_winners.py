"""The commands of docs/how-to/autsl-winners.md on the published logits."""

import json
import pickle
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from slr_pipeline.io.submission import read_predictions
from tests.shared_data import NEEDS_AUTSL, SHARED

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/autsl-winners.md").read_text()
CONFIG = "config/autsl_winners.yaml"
COPIES = {name: name for name in ("train_labels.csv", "test_labels.csv")}
COPIES |= {"validation_labels.csv": "val_labels.csv"}
COPIES |= {"SignList_ClassId_TR_EN.csv": "SignList_ClassId_TR_EN.csv"}

pytestmark = [pytest.mark.slow, NEEDS_AUTSL]


@pytest.fixture(scope="module")
def scores() -> dict[str, dict[str, np.ndarray]]:
    """The authors' six score files, float32."""
    arrays = np.load(SHARED / "autsl/samslr_streams.npz")
    names = arrays["names"].tolist()
    return {
        stream: dict(zip(names, arrays[stream].astype(np.float32), strict=True))
        for stream in ("rgb", "flow", "sstcn", "hha", "depth_flow")
    }


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, scores: dict[str, dict[str, np.ndarray]]
) -> tuple[Path, str]:
    """The folder after all commands of the page, and what `slr cross-validate` printed."""
    folder = tmp_path_factory.mktemp("winners")
    for name in ("data/autsl", "winners", "config"):
        (folder / name).mkdir(parents=True)
    shutil.copy(ROOT / CONFIG, folder / "config")
    for name, copy in COPIES.items():
        shutil.copy(SHARED / "autsl" / name, folder / "data/autsl" / copy)
    for stream, values in scores.items():
        (folder / f"winners/{stream}.pkl").write_bytes(pickle.dumps(values))
    shutil.copy(SHARED / "autsl/samslr_gcn/final.pkl", folder / "winners/skeleton.pkl")
    programs = {
        "slr": [sys.executable, "-m", "slr_pipeline.cli.main"],
        "snakemake": [sys.executable, "-m", "snakemake", "--snakefile", f"{ROOT}/Snakefile"],
    }
    output = ""
    for line in re.findall(r"^(?:slr|snakemake) .*$", PAGE, re.MULTILINE):
        program, *flags = shlex.split(line)
        done = subprocess.run(
            [*programs[program], *flags], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        output = done.stdout
    return folder, output


@pytest.mark.parametrize(("track", "top1"), [("rgb", 98.4233), ("rgbd", 98.5302)])
def test_both_submissions_row_by_row(
    project: tuple[Path, str], scores: dict[str, dict[str, np.ndarray]], track: str, top1: float
) -> None:
    skeleton = pickle.loads((SHARED / "autsl/samslr_gcn/final.pkl").read_bytes())
    weights = yaml.safe_load((ROOT / CONFIG).read_text())["tracks"][track]["streams"]
    folder = project[0] / "results/autsl_winners/tracks" / track
    rows = read_predictions(folder / "submission.csv", 226)
    assert len(rows) == 3742
    for name, label in rows:
        parts = {**{stream: values[name] for stream, values in scores.items()}}
        parts["skeleton"] = skeleton[name]
        total = sum(weight * parts[stream].astype(np.float64) for stream, weight in weights.items())
        assert int(np.argmax(total)) == label
    metrics = json.loads((folder / "metrics.json").read_text())
    assert round(100 * metrics["test"]["top1"], 4) == top1
    assert f"{metrics['test']['correct']} of 3742 | {top1} %" in PAGE


def test_the_page_has_what_cross_validate_prints(project: tuple[Path, str]) -> None:
    output = project[1]
    rows = re.findall(r"^\| .*\(`(\w+)`\) \| (.*) \|$", PAGE, re.MULTILINE)
    parts = re.split(r"^track (\w+):.*\n", output, flags=re.MULTILINE)[1:]
    printed = dict(zip(parts[::2], parts[1::2], strict=True))
    assert [track for track, _ in rows] == list(printed)
    assert len(rows) == 6
    for track, row in rows:
        configured, fitted, by_clip, by_signer, only, p, _ = row.split(" | ")
        text = printed[track]
        assert f"  {fitted} (" in text
        assert f"interval by clip {by_clip}, by signer {by_signer}\n" in text
        ours, theirs = only.split(", ")
        assert f"{configured}; right only when fitted {ours}, only as configured {theirs};" in text
        assert f"exact p {p}" in text
    assert output.count("fitted on the other signers of test") == 7
    assert "correction for these 6 sets of streams: 0.04; earlier tries count too" in output
