"""What `slr plan` counts is what Snakemake plans, and what a run makes."""

import base64
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.size import dry_run, measured, write_experiment
from slr_pipeline.config.experiment import check_config
from slr_pipeline.planning.jobs import Job, made_files, made_folders, planned_jobs
from slr_pipeline.samples.table import load_samples
from slr_pipeline.schema import FEATURES
from tests.shared_data import SHARED
from tests.workflow.conftest import ROOT, Run
from tests.workflow.test_reruns import READERS

TARGETS = ("all", "submission", "features")
ALONE = {"tracks": {"rgb": {"streams": {"joint": 1.0}}}}
MMPOSE = {"estimator": "mmpose", "config": "whole_body.py", "checkpoint": {"path": "weights.pth"}}
Plan = dict[str, tuple[Any, ...]]


def said_plan(output: str) -> Plan:
    """Jobs by name from what a dry run prints; of their inputs those that other jobs make."""
    jobs = {}
    for block in re.split(r"\n\n+", output):
        lines = block.splitlines()
        heads = [i for i, line in enumerate(lines) if re.match(r"(local)?rule (\w+):$", line)]
        if not heads:
            continue
        rule = lines[heads[0]].split()[1].rstrip(":")
        fields = dict(
            line.strip().split(": ", 1) for line in lines[heads[0] + 1 :] if line.startswith("    ")
        )
        if rule in TARGETS:
            continue
        wildcards = dict(pair.split("=") for pair in _listed(fields.get("wildcards")))
        resources = dict(pair.split("=") for pair in _listed(fields["resources"]))
        jobs[" ".join([rule, *wildcards.values()])] = (
            set(_listed(fields.get("input"))),
            set(_listed(fields["output"])),
            fields["log"],
            fields.get("benchmark"),
            int(resources["runtime"]) if "runtime" in resources else None,
            int(fields.get("threads", 1)),
            int(resources.get("gpu", 0)),
            int(resources.get("nodes", 1)),
        )
    made = {path for job in jobs.values() for path in job[1]}
    return {name: (job[0] & made, *job[1:]) for name, job in jobs.items()}


def _listed(text: str | None) -> list[str]:
    return text.split(", ") if text else []


def as_said(job: Job) -> tuple[Any, ...]:
    files = (set(job.inputs), set(job.outputs), job.log, job.benchmark)
    return (*files, job.minutes, job.threads, job.gpus, job.nodes)


def jobs_of(run: Run) -> list[Job]:
    """The planned jobs of a run whose config names its data by absolute paths."""
    config = check_config(run.config)
    return planned_jobs(config, load_samples(config.data))


def check_plan(run: Run) -> list[Job]:
    done = run.snakemake("--dry-run", "--printshellcmds", "all", cores=64, gpus=64)
    assert done.returncode == 0, done.stderr
    said = said_plan(done.stdout)
    jobs = jobs_of(run)
    planned = {job.name: as_said(job) for job in jobs}
    assert len(planned) == len(jobs)
    assert planned.keys() == said.keys()
    assert {name: planned[name] for name in said if planned[name] != said[name]} == {}
    return jobs


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"protocol": "challenge"},
        {"folds": 3, "device": "auto"},
        {
            "device": "auto",
            "streams": {"joint": {"model": "slgcn", "gpus": 4, "nodes": 2}},
            **ALONE,
        },
        {"features": {"heatmaps": {"stored": False}}, "keep_features": False},
        {"features": {"keypoints": MMPOSE, "heatmaps": {"source": "network"}}, "device": "auto"},
    ],
    ids=lambda changes: ",".join(changes) or "as it is",
)
def test_jobs_of_the_demo(tmp_path: Path, changes: dict[str, Any]) -> None:
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    values["data"]["root"] = str(ROOT / "demo")
    for name in ("whole_body.py", "weights.pth"):
        (tmp_path / name).touch()
    check_plan(Run(tmp_path, json.loads(json.dumps({**values, **changes}))))


def test_jobs_with_logits_made_elsewhere(tmp_path: Path) -> None:
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    values["data"]["root"] = str(ROOT / "demo")
    files = {"val": "val.h5", "test": "test.h5"}
    for name in files.values():
        (tmp_path / name).touch()
    streams = {name: values["streams"][name] for name in ("joint", "rgb")}
    values |= {
        "protocol": "challenge",
        "streams": {**streams, "other": {"model": "imported", "reads": ["flow"], **files}},
        "tracks": {
            "rgb": {
                "fusion": "published",
                "streams": {"joint": 1.0, "other": 0.5},
                "untuned": {"joint": 0.2},
            }
        },
    }
    jobs = check_plan(Run(tmp_path, json.loads(json.dumps(values))))
    assert "flow" not in {job.rule for job in jobs}


@pytest.mark.parametrize("protocol", ["strict", "challenge"])
def test_jobs_of_a_table_without_depth(tmp_path: Path, protocol: str) -> None:
    values = yaml.safe_load((ROOT / "config" / "wlasl20.yaml").read_text())
    rows = [
        f"{split}{number},{split},{number % 20},clips/{split}{number}.mp4"
        for split, count in (("train", 350), ("val", 84), ("test", 65))
        for number in range(count)
    ]
    (tmp_path / "samples.csv").write_text("\n".join(["sample,split,label,color", *rows]))
    values["data"]["table"] = str(tmp_path / "samples.csv")
    check_plan(Run(tmp_path, json.loads(json.dumps({**values, "protocol": protocol}))))


@pytest.mark.parametrize(
    ("protocol", "folds"), [("strict", None), ("challenge", None), ("challenge", 5)]
)
def test_jobs_of_autsl(tmp_path: Path, protocol: str, folds: int | None) -> None:
    run = autsl_run(tmp_path, protocol, folds)
    jobs = check_plan(run)
    files = made_files(jobs)
    assert len(files) == len(set(files)) < 5000
    assert len(made_folders(files)) < 600
    assert len(jobs) < 1500


def test_memory_at_autsl_size(tmp_path: Path) -> None:
    """The time is in benchmarks/size.py."""
    config = write_experiment(tmp_path, str(ROOT / "config" / "autsl.yaml"), 36302, 512)
    _, megabytes = measured(dry_run(config), tmp_path)
    assert megabytes < 500


def autsl_run(folder: Path, protocol: str, folds: int | None) -> Run:
    """AUTSL's own label files, no video."""
    source = SHARED / "autsl"
    if not source.exists():
        pytest.skip(f"{source} is not here (set SLR_SHARED_DATA to the shared data folder)")
    root = folder / "data" / "autsl"
    root.mkdir(parents=True)
    names = {"train": "train", "val": "validation", "test": "test"}
    for split, name in names.items():
        shutil.copy(source / f"{name}_labels.csv", root / f"{split}_labels.csv")
    shutil.copy(source / "SignList_ClassId_TR_EN.csv", root)
    values = yaml.safe_load((ROOT / "config" / "autsl.yaml").read_text())
    values["data"]["root"] = str(root)
    (folder / "weights").mkdir()
    for stream in values["streams"].values():
        if "init" in stream:
            (folder / stream["init"]["path"]).touch()
    return Run(folder, json.loads(json.dumps({**values, "protocol": protocol, "folds": folds})))


def test_files_of_a_run(finished_run: Run) -> None:
    """Neither one more nor one less than counted, beside what the target `features` adds."""
    folder = finished_run.folder
    table = {**finished_run.config["data"], "table": str(folder / "samples.csv")}
    jobs = jobs_of(Run(folder, {**finished_run.config, "data": table}))
    expected = made_files(jobs)
    others = FEATURES.keys() - {job.rule for job in jobs}
    found = [
        path.relative_to(folder)
        for place in ("results", ".snakemake/metadata")
        for path in folder.glob(f"{place}/**/*")
        if path.is_file()
    ]
    assert sorted(str(path) for path in found if not others & set(parts_of(path))) == sorted(
        expected
    )
    folders = {str(path.parent) for path in found} - {str(Path(path).parent) for path in expected}
    assert {Path(path).parts[2] for path in folders} == others


def parts_of(path: Path) -> tuple[str, ...]:
    """The parts of a path, or of the output that a record of Snakemake is about."""
    if path.parts[0] != ".snakemake":
        return path.parts
    return Path(base64.urlsafe_b64decode(path.name).decode()).parts


def test_dropped_features_are_not_made_again(finished_run: Run, tmp_path: Path) -> None:
    """Pictures go once what reads them is done; then nothing is to be done, until they are read."""
    run = Run(tmp_path / "a copy", finished_run.config)
    shutil.copytree(finished_run.folder, run.folder)
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
    assert run.planned(**changes) == {"ensemble": 1, "submission": 1, "config": 1}
    done = run.snakemake("submission", **changes)
    assert done.returncode == 0, done.stderr
    features = run.folder / "results" / "features"
    assert not list(features.glob("frames/**/*.h5"))
    assert list(features.glob("keypoints/**/*.h5"))
    assert run.planned("submission", "features", **changes) == {}
    assert run.planned(**{**changes, "keep_features": True}) == {"config": 1, "submission": 1}
    changes["streams"]["rgb"]["training"] = {**tiny, "epochs": 2}
    assert run.planned(**changes) == made
