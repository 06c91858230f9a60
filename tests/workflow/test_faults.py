"""Bad input stops a run before the first job, with one clear line; a failed job is named."""

import os
import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.shared_data import CASES, NEEDS_CASES
from tests.workflow.conftest import WorkflowRun, make_run


@pytest.fixture
def run(tmp_path: Path) -> WorkflowRun:
    return make_run(tmp_path / "bad input")


def error_of(run: WorkflowRun, *arguments: str, **changes: object) -> str:
    """The only error line of a run that fails before the first job."""
    done = run.snakemake("--dry-run", "submission", *arguments, **changes)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    assert not (run.folder / "results").exists()
    return lines[0]


def test_wrong_key(run: WorkflowRun) -> None:
    assert error_of(run, sead=1).startswith("error: config: sead: unknown key (known: data,")


def test_missing_weights(run: WorkflowRun) -> None:
    keypoints = {"estimator": "mmpose", "config": "any", "checkpoint": {"path": "hrnet.pth"}}
    line = error_of(run, features={"keypoints": keypoints})
    assert line.startswith(
        "error: features.keypoints.checkpoint.path: hrnet.pth is not there; get "
    )


def test_doubled_sample(run: WorkflowRun) -> None:
    run.write_rows([*run.rows(), run.rows()[0]])
    assert "appears twice; names must be unique" in error_of(run)


def test_label_out_of_range(run: WorkflowRun) -> None:
    (run.folder / "classes.txt").write_text("0\n1\n2\n")
    data = {**run.config["data"], "classes": "classes.txt"}
    assert "label '3' is not a class (known: 0, 1, 2)" in error_of(run, data=data)


@pytest.mark.slow
def test_a_run_prints_a_line_per_job_and_names_the_sample_that_fails(run: WorkflowRun) -> None:
    """A video is damaged after it was verified, and neither its size nor its time says so."""
    run.write_rows([row for row in run.rows() if row["label"] in ("0", "1")])
    rows = {row["split"]: row for row in run.rows()}
    keypoints = "results/features/keypoints/train/all.h5"
    done = run.snakemake(keypoints, verify={"max_quarantined": 1})
    assert done.returncode == 0, done.stderr
    lines = (done.stdout + done.stderr).splitlines()
    jobs = 5  # three of verify, quarantine, keypoints
    assert len(lines) < 30 + 8 * jobs
    assert not [line for line in lines if "python -P" in line or "reason:" in line]
    assert f"{jobs} of {jobs} steps (100%) done" in lines
    assert [line for line in lines if "keypoints train all; results/logs/keypoints/train/" in line]
    left = [line for line in lines if re.fullmatch(r"about \d+ (s|min) left", line)]
    assert len(left) == jobs - 1
    assert lines[lines.index(left[0]) - 1] == f"1 of {jobs} steps (20%) done"

    video, sample = rows["train"]["color"], rows["train"]["sample"]
    path = run.folder / video
    time = path.stat().st_mtime_ns
    path.write_bytes(bytes(path.stat().st_size))
    os.utime(path, ns=(time, time))
    done = run.snakemake("results/features/frames/train/all.h5", verify={"max_quarantined": 1})
    assert done.returncode == 1
    lines = (done.stdout + done.stderr).splitlines()
    assert "Error in rule frames:" in lines
    (line,) = [line for line in lines if line.startswith("error: ")]
    assert line.startswith(f"error: sample {sample}: {video}: cannot be opened as a video")
    assert "Traceback" not in done.stderr


@NEEDS_CASES
def test_the_same_command_goes_on_after_clips_are_mended(tmp_path: Path) -> None:
    run = WorkflowRun(tmp_path, yaml.safe_load((CASES / "mend/config.yaml").read_text()))
    shutil.copy(CASES / "mend/samples.csv", tmp_path)
    for name in "ac":
        shutil.copy(CASES / "mend/whole.mp4", tmp_path / f"{name}.mp4")
    shutil.copy(CASES / "mend/b_cut.mp4", tmp_path / "b.mp4")
    done = run.snakemake("results/quarantine.csv")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: 2 of 4 samples are quarantined")
    assert line.endswith("repair the videos or raise it, then run the same command again:")
    for name in "bd":
        shutil.copy(CASES / "mend/whole.mp4", tmp_path / f"{name}.mp4")
    done = run.snakemake("results/quarantine.csv")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results/quarantine.csv").read_text().count("\n") == 1
    log = (tmp_path / "results/logs/verify/train/all.log").read_text()
    assert log.endswith("2 samples, 1 decoded, 0 quarantined\n")
    assert run.planned("results/quarantine.csv") == {}


def test_a_dry_run_shows_files_and_reasons(run: WorkflowRun) -> None:
    done = run.snakemake("--dry-run", "results/quarantine.csv")
    assert "    output: results/verify/val/all.csv" in done.stdout
    assert "output files have to be generated:\n        quarantine, verify" in done.stdout
    done = run.snakemake("--dry-run", "results/quarantine.csv", "--quiet", "host")
    assert "    reason: Missing output files: results/verify/val/all.csv" in done.stdout
