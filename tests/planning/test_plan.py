"""The forecast: jobs from a dry run, sums and sizes by hand, rates of the run's own past."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import yaml

from benchmarks.size import write_experiment
from slr_pipeline.cli.main import main
from slr_pipeline.config.experiment import check_config, read_config
from slr_pipeline.errors import ArtifactError, ConfigError
from slr_pipeline.io.benchmarks import read_seconds
from slr_pipeline.planning import rates
from slr_pipeline.planning.dry_run import Job, planned_jobs
from slr_pipeline.planning.fingerprint import count_splits, measure_videos, shared_signers
from slr_pipeline.planning.plan import (
    Machines,
    Plan,
    critical_path,
    make_plan,
    scheduled_seconds,
)
from slr_pipeline.planning.tables import plan_text
from slr_pipeline.samples.table import load_samples

ROOT = Path(__file__).parents[2]
PICTURES = ["frames", "hand_crops", "depth_hand_crops", "flow", "depth_flow", "hha"]
NETWORK = {"source": "network"}
MMPOSE = {"estimator": "mmpose", "config": "whole_body.py", "checkpoint": {"path": "weights.pth"}}


@pytest.fixture(autouse=True)
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working folder; a dry run prepends to PATH."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def values() -> dict[str, Any]:
    """The demo without results."""
    values: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text())
    values["data"]["root"] = str(ROOT / "demo")
    return values


def plan_of(values: dict[str, Any], gpus: int | None = None, nodes: int = 1) -> Plan:
    # Without aliases: two streams may share a section.
    Path("config.yaml").write_text(json.dumps(values))
    return make_plan("config.yaml", nodes=nodes, cores=2, gpus=gpus)


def sums(plan: Plan) -> pd.DataFrame:
    return plan.jobs.groupby("row")[["bytes", "seconds", "files"]].sum()


def test_fingerprint_of_the_demo(values: dict[str, Any]) -> None:
    config = check_config(values)
    table = load_samples(config.data)
    counts = count_splits(table)
    assert counts.loc["train"].tolist() == [80, 5, 8, 10, 10, 10, 0]
    assert counts.loc["val"].tolist() == [16, 1, 8, 2, 2, 2, 0]
    assert counts.loc["test"].tolist() == [32, 2, 8, 4, 4, 4, 0]
    assert shared_signers(table) == 0
    same = [dataclasses.replace(sample, signer="one") for sample in table.samples]
    assert shared_signers(dataclasses.replace(table, samples=tuple(same))) == 1
    videos = measure_videos(table, config.results, seed=1)
    assert videos.source == "8 clips drawn at random"
    assert videos.measured[["width", "height", "fps"]].to_numpy().tolist() == [[512, 512, 25]] * 8
    assert videos.measured["frames"].between(20, 29).all()
    assert measure_videos(table, config.results, seed=1).measured.equals(videos.measured)


def test_unknown_signers_are_not_counted_as_none(values: dict[str, Any]) -> None:
    plan = plan_of(values)
    unknown = tuple(dataclasses.replace(s, signer=None) for s in plan.table.samples)
    for samples, line in (
        (plan.table.samples, "0 of 8 signers appear in several splits; 0 samples have no depth"),
        (unknown, "the signers of 128 samples are unknown; "),
        ((*unknown[:9], *plan.table.samples[9:]), "in several splits, the signers of 9 samples ar"),
    ):
        table = dataclasses.replace(plan.table, samples=samples)
        assert line in "\n".join(plan_text(dataclasses.replace(plan, table=table)))
    assert count_splits(dataclasses.replace(plan.table, samples=unknown))["signers"].isna().all()


def test_sums_by_hand(values: dict[str, Any]) -> None:
    """80 clips of train and two streams, with the rates of docs/RESULTS.md."""
    values["streams"] = {name: values["streams"][name] for name in ("joint", "rgb")}
    values["tracks"] = {"rgb": {"streams": {"joint": None, "rgb": None}}}
    plan = plan_of(values)
    frames = plan.videos.measured["frames"].mean()
    rows = sums(plan)
    assert rows.loc["frames", "bytes"] == pytest.approx(128 * frames * 11343)
    starts = rates.STARTS["frames"] * (plan.jobs["rule"] == "frames").sum()
    work = rates.FRAME_COSTS["frames"][0] / 1000 * 128 * frames
    assert rows.loc["frames", "seconds"] == pytest.approx(starts + work)
    joint = values["streams"]["joint"]
    passes = joint["training"]["epochs"] * (3 * 80 + 16)
    gflop = (1.458e-3 * 16**2 + 5.4e-3 * 16) * joint["window"] / 100 * passes
    assert rows.loc["train joint", "seconds"] == pytest.approx(
        gflop / rates.CPU_GFLOPS["slgcn"] + rates.START_SECONDS
    )
    assert plan.final_bytes == plan.peak_bytes == plan.missing_bytes
    durations = plan.durations()
    assert durations["work of the cores"] == pytest.approx(plan.jobs["seconds"].sum() / 2)
    assert plan.path[0].startswith("verify")
    assert plan.path[-1] in ("overview", "report")
    assert durations["critical path"] == pytest.approx(plan.jobs.loc[plan.path, "seconds"].sum())
    assert max(durations.values()) <= plan.expected_seconds <= sum(durations.values())
    assert plan.warnings == []


def test_each_seed_is_a_training(values: dict[str, Any]) -> None:
    values["streams"] = {"joint": values["streams"]["joint"]}
    values["tracks"] = {"rgb": {"streams": {"joint": None}}}
    one = plan_of(values)
    values["streams"]["joint"]["seeds"] = 3
    plan = plan_of(values)
    names = ["train joint train", "train joint train/seed2", "train joint train/seed3"]
    assert list(plan.jobs.index[plan.jobs["rule"] == "train"]) == names
    assert sums(plan).loc["train joint"].tolist() == pytest.approx(
        [3 * value for value in sums(one).loc["train joint"]]
    )
    values["streams"]["joint"] |= {"test_mirror": True, "test_speeds": [0.9, 1.1]}
    views = plan_of(values)
    units = [each.jobs.loc["predict joint train", "units"] for each in (one, plan, views)]
    assert units == [units[0], 3 * units[0], 3 * 4 * units[0]]


def test_critical_path_of_a_diamond() -> None:
    def job(name: str, *inputs: str) -> Job:
        return Job(name, {}, inputs, (f"{name}.out",))

    jobs = [job("first"), job("long", "first.out"), job("short", "first.out", "video.mp4")]
    jobs.append(job("last", "long.out", "short.out"))
    jobs += [job("small"), job("wide", "last.out")]
    names = ["first", "long", "short", "last", "small", "wide"]
    costs = pd.DataFrame({"seconds": [1.0, 5.0, 2.0, 1.0, 4.0, 3.0], "threads": 1}, index=names)
    costs = costs.assign(nodes=1, gpus=0)
    costs.loc["wide", "threads"] = 8
    assert critical_path(jobs, costs) == ["first", "long", "last", "wide"]
    # On two cores `small` starts with `first` and ends beside `long`; `short` waits until then.
    assert scheduled_seconds(jobs, costs, Machines(1, 2, 0)) == 1 + 5 + 1 + 3
    assert scheduled_seconds(jobs, costs, Machines(1, 1, 0)) == costs["seconds"].sum()
    costs["gpus"] = [0, 1, 1, 0, 0, 0]  # `long` and `short` share the GPU
    assert scheduled_seconds(jobs, costs, Machines(1, 8, 1)) == 1 + 5 + 2 + 1 + 3


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        (
            {"protocol": "challenge"},
            {"train": 22, "predict": 11, "predict_test": 11, "evaluate": 22},
        ),
        (
            {"protocol": "challenge", "folds": 3},
            {"train": 22 + 33, "predict": 11, "predict_fold": 33},
        ),
        ({"features": {"heatmaps": {"stored": False}}}, {"heatmaps": 0}),
        (
            {"features": {"keypoints": MMPOSE, "heatmaps": NETWORK}, "device": "auto"},
            {"heatmaps": 0, "keypoints": 4, "hha": 4},
        ),
    ],
    ids=["challenge", "folds", "heat-maps drawn", "heat-maps of the network"],
)
def test_jobs(values: dict[str, Any], changes: dict[str, Any], counts: dict[str, int]) -> None:
    for name in ("whole_body.py", "weights.pth"):
        Path(name).touch()
    Path("config.yaml").write_text(json.dumps({**values, **changes}))
    jobs = planned_jobs("config.yaml", read_config("config.yaml"))
    assert len({job.name for job in jobs}) == len(jobs)
    assert {rule: sum(job.rule == rule for job in jobs) for rule in counts} == counts
    (ensemble,) = [job for job in jobs if job.name == "ensemble rgb"]
    on_gpu = {job.rule for job in jobs if job.gpus}
    assert on_gpu == ({"keypoints", "train", "predict"} if "device" in changes else set())
    assert ensemble.minutes == 30
    assert ensemble.benchmark == "results/benchmarks/ensemble/rgb.tsv"
    assert ensemble.logs == ("results/logs/ensemble/rgb.log",)


def test_autsl_needs_few_jobs_files_and_folders() -> None:
    path = write_experiment(Path.cwd(), str(ROOT / "config" / "autsl.yaml"), 36302, 512)
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "folds": 5}))
    plan = make_plan(str(path), nodes=1, cores=8, gpus=1)
    assert plan.videos.measured.empty
    assert len(plan.jobs) < 1500
    assert plan.jobs["files"].sum() < 5000
    assert plan.folders < 600


def test_dropped_features_are_not_kept(values: dict[str, Any]) -> None:
    plan = plan_of({**values, "keep_features": False})
    dropped = sums(plan).loc[PICTURES, "bytes"].sum()
    assert plan.final_bytes == pytest.approx(plan.peak_bytes - dropped)
    assert plan.missing_bytes == plan.peak_bytes
    jobs = planned_jobs("config.yaml", plan.config)
    for path in (path for job in jobs if job.rule not in PICTURES for path in job.outputs):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
    for path in Path("results/verify").glob("*/*.csv"):
        path.unlink()
    missing = sums(plan_of({**values, "keep_features": False})).loc["verify", "bytes"]
    assert plan_of({**values, "keep_features": False}).missing_bytes == pytest.approx(missing)


def test_finished_jobs_give_rates_and_sizes(values: dict[str, Any]) -> None:
    before = plan_of(values)
    jobs = [job for job in planned_jobs("config.yaml", before.config) if job.rule == "frames"]
    samples = before.jobs["samples"]
    for job in jobs[:2]:
        assert job.benchmark
        for path in (job.benchmark, *job.outputs):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(job.benchmark).write_text(f"s\th:m:s\n{samples[job.name] * 36}\t-\n")
        Path(job.outputs[0]).write_bytes(bytes(1000))
    plan = plan_of(values)
    frames = plan.jobs[plan.jobs["rule"] == "frames"]
    assert frames["seconds"].sum() == pytest.approx(128 * 36)
    assert set(frames["source"]) == {"this run"}
    unfinished = before.jobs.loc[[job.name for job in jobs[2:]], "bytes"].sum()
    assert frames["bytes"].sum() == pytest.approx(unfinished + 2000)
    assert plan.missing_bytes == pytest.approx(plan.final_bytes - 2000)
    columns = ["seconds", "bytes", "source"]
    others = plan.jobs["rule"] != "frames"
    assert plan.jobs.loc[others, columns].equals(before.jobs.loc[others, columns])


def test_a_damaged_benchmark_file_is_named(tmp_path: Path) -> None:
    assert read_seconds(tmp_path / "none.tsv") is None
    path = tmp_path / "a.tsv"
    path.write_text("s\th:m:s\nsoon\t-\n")
    with pytest.raises(ArtifactError, match=r"a\.tsv: not a benchmark file .*; delete it"):
        read_seconds(path)


def test_a_small_disk_is_a_warning(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1e6))
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_files=100, f_favail=9))
    disk, inodes = plan_of(values).warnings
    assert re.match(r"results: 0\.\d GB more are needed and /.* has 0\.0 GB free; set ", disk)
    assert re.match("results: the run writes .* has room for 9; raise shard_size$", inodes)


def test_a_command_that_is_too_long_is_a_warning(values: dict[str, Any], tmp_path: Path) -> None:
    lines = [f"c{n},train,{n % 3},c{n}.mp4" for n in range(300)]
    lines += ["v,val,0,v.mp4", "t,test,0,t.mp4"]
    (tmp_path / "samples.csv").write_text("\n".join(["sample,split,label,color", *lines]))
    values["data"] = {"layout": "table", "table": "samples.csv"}
    with pytest.raises(ConfigError, match=r"^streams\.\w+: it reads \w+, made from depth videos"):
        plan_of(values)
    deep = "r" * 200
    values |= {
        "results": f"{tmp_path}/{deep}/{deep}",
        "shard_size": 1,
        "streams": {"joint": values["streams"]["joint"]},
        "tracks": {"rgb": {"streams": {"joint": 1.0}}},
    }
    (warning,) = plan_of(values).warnings
    assert warning.startswith("shard_size: 1 makes a command of 1")
    assert "for train joint train, which names each shard, and Linux allows 131,071" in warning


def test_long_jobs_and_missing_weights_are_warnings(values: dict[str, Any]) -> None:
    values["streams"]["rgb"]["training"]["epochs"] = 100000
    values["streams"]["rgb"]["init"] = {"path": "none.safetensors"}
    weights, minutes = plan_of(values).warnings
    assert weights.startswith("streams.rgb.init.path: none.safetensors is not there; ")
    assert minutes.startswith("train: train rgb train takes about ")
    assert minutes.endswith("limit on a cluster is 1,440; raise its runtime in the profile")


def test_gpus_and_nodes(values: dict[str, Any]) -> None:
    values["device"] = "auto"
    plan = plan_of(values)
    assert plan.machines.gpus == 1
    assert plan.jobs.loc["train rgb train", ["gpus", "threads", "source"]].tolist() == [
        *(1, 8, "assumed")
    ]
    more = plan_of(values, gpus=4, nodes=20).durations()
    assert more["work of the GPUs"] == pytest.approx(plan.durations()["work of the GPUs"] / 4)
    assert more["critical path"] == plan.durations()["critical path"]
    values["streams"]["joint"]["gpus"] = 4
    assert plan_of(values).machines.gpus == 4
    with pytest.raises(ConfigError, match="--gpus 2: train joint train needs 4; raise it"):
        plan_of(values, gpus=2)


@pytest.mark.parametrize("wrong", [["--cores", "0"], ["--gpus", "-1"], ["--nodes", "0"]])
def test_wrong_machines_are_one_line(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["plan", str(ROOT / "config.yaml"), *wrong])
    assert capsys.readouterr().err.startswith(f"error: {' '.join(wrong)}: expected ")


def test_the_command() -> None:
    """In its own process: Snakemake prints nothing, and torch is not imported."""
    code = "import sys; from slr_pipeline.cli.main import main; main(['plan', '--cores', '4'])"
    code += "; sys.exit('torch' in sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "demo: 128 samples, 8 classes; protocol strict, 11 streams, 2 tracks\n"
    )
    assert "\ntrain sstcn " in done.stdout
    assert "duration with 1 x 4 cores and 0 GPUs: " in done.stdout
    assert done.stdout.rstrip().endswith((" overview", " report"))
