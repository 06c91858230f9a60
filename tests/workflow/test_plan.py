"""The forecast of `slr plan` against a real run, and what a dry run of a large data set costs."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.size import dry_run, measured, write_experiment
from slr_pipeline.planning.plan import make_plan
from slr_pipeline.schema import FEATURES
from tests.workflow.conftest import ROOT, WorkflowRun
from tests.workflow.test_reruns import READERS, SCORES


def test_memory_at_autsl_size(tmp_path: Path) -> None:
    """The time is in benchmarks/size.py."""
    config = write_experiment(tmp_path, str(ROOT / "config" / "autsl.yaml"), 36302, 512)
    _, megabytes = measured(dry_run(config), tmp_path)
    assert megabytes < 500


def test_files_of_a_run(finished_run: WorkflowRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """The forecast counts every output of a finished run, apart from the target `features`."""
    monkeypatch.chdir(finished_run.folder)
    plan = make_plan("config.yaml", nodes=1, cores=2, gpus=0)
    extra = FEATURES.keys() - set(plan.jobs["rule"]) | {"videos"}  # what `verify` remembers
    files = [
        path
        for path in Path("results").rglob("*")
        if path.is_file() and not extra & set(path.parts)
    ]
    records = sum(plan.jobs["files"]) - len(files)
    outputs = [path for path in files if path.parts[1] not in ("logs", "benchmarks")]
    assert records == len(outputs)
    assert plan.jobs["done"].all()
    assert plan.missing_bytes == 0
    assert plan.final_bytes == sum(path.stat().st_size for path in outputs)
    assert set(plan.jobs.loc[plan.jobs["rule"] != "config", "source"]) == {"this run"}


def test_dropped_features_are_not_made_again(copied_run: WorkflowRun) -> None:
    """Pictures are deleted after their last reader and computed again only for a new reader."""
    run = copied_run
    shutil.rmtree(run.folder / "results" / "features" / "frames")
    tiny = {"epochs": 1, "batch_size": 4, "overfit_steps": 0}
    video = {"model": "r2plus1d", "feature": "frames", "width": 2, "frames": 4, "size": 16}
    changes: dict[str, Any] = {
        "keep_features": False,
        "streams": {**run.config["streams"], "rgb": {**video, "test_clips": 1, "training": tiny}},
        "tracks": {"rgb": {"streams": {"joint": 1.0, "rgb": 1.0}}},
    }
    made = run.planned(**changes)
    assert {"frames", "train"} <= made.keys() <= {"config", "frames", *READERS}
    # Train one stream alone, as docs/how-to/plan.md recommends for small disks.
    done = run.snakemake("results/streams/rgb/train/metrics.json", **changes)
    assert done.returncode == 0, done.stderr
    assert run.planned(**changes) == {**SCORES, "submission": 1, "config": 1}
    done = run.snakemake("submission", **changes)
    assert done.returncode == 0, done.stderr
    features = run.folder / "results" / "features"
    assert not list(features.glob("frames/**/*.h5"))
    assert list(features.glob("keypoints/**/*.h5"))
    assert run.planned("submission", "features", **changes) == {}
    assert run.planned(**{**changes, "keep_features": True}) == {"config": 1, "submission": 1}
    changes["streams"]["rgb"]["training"] = {**tiny, "epochs": 2}
    assert run.planned(**changes) == made
