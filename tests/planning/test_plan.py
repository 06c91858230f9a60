"""The forecast: sums and sizes by hand, rates of the run's own, and what the command prints."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from slr_pipeline.cli.main import main
from slr_pipeline.config.experiment import check_config
from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.benchmarks import read_seconds
from slr_pipeline.planning.costs import Cost
from slr_pipeline.planning.fingerprint import count_splits, look_at_videos, shared_signers
from slr_pipeline.planning.jobs import Job, planned_jobs
from slr_pipeline.planning.plan import Machines, Plan, make_plan, peak_bytes
from slr_pipeline.planning.schedule import Schedule
from slr_pipeline.samples.table import load_samples

ROOT = Path(__file__).parents[2]
ALONE = Machines(nodes=1, cores=2, gpus=0)


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    """The demo in which nothing was run."""
    values: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text())
    values["data"]["root"] = str(ROOT / "demo")
    return json.loads(json.dumps({**values, "results": str(tmp_path / "results")}))


def rows(plan: Plan) -> dict[str, Any]:
    return {row.name: row for row in plan.rows}


def test_the_fingerprint_of_the_demo(values: dict[str, Any]) -> None:
    config = check_config(values)
    table = load_samples(config.data)
    found = {
        counts.split: (counts.samples, counts.signers, counts.classes, counts.clips)
        for counts in count_splits(table)
    }
    assert found == {
        "train": (80, 5, 8, (10, 10, 10)),
        "val": (16, 1, 8, (2, 2, 2)),
        "test": (32, 2, 8, (4, 4, 4)),
    }
    assert shared_signers(table) == 0
    twice = [dataclasses.replace(sample, signer="one") for sample in table.samples]
    assert shared_signers(dataclasses.replace(table, samples=tuple(twice))) == 1
    videos = look_at_videos(table, config.results, seed=1)
    assert videos.how == "8 clips drawn at random"
    assert videos.sizes == {(512, 512): 8}
    assert videos.rates == {25.0: 8}
    assert all(20 <= frames <= 29 for frames in videos.frames)
    assert look_at_videos(table, config.results, seed=1) == videos


def test_sums_by_hand(values: dict[str, Any]) -> None:
    """80 clips of train of the demo's two streams, as docs/RESULTS.md has the rates."""
    values["streams"] = {name: values["streams"][name] for name in ("joint", "rgb")}
    values["tracks"] = {"rgb": {"streams": {"joint": None, "rgb": None}}}
    config = check_config(values)
    plan = make_plan(config, ALONE)
    frames = sum(plan.videos.frames) / 8
    found = rows(plan)
    assert found["frames"].bytes == pytest.approx(128 * frames * 11343)
    assert found["frames"].core_hours == pytest.approx(128 * frames * 0.0029 / 3600)
    gflop = (1.458e-3 * 16**2 + 5.4e-3 * 16) * 0.4 * 30 * (3 * 80 + 16)
    assert found["train joint"].core_hours == pytest.approx((gflop / 22 + 2) / 3600)
    assert plan.final_bytes == pytest.approx(sum(row.bytes for row in plan.rows))
    assert plan.final_bytes == plan.peak_bytes == plan.missing_bytes
    assert sum(row.files for row in plan.rows) == plan.files
    assert plan.gpu_use is None
    assert plan.makespan >= sum(seconds for _, seconds in plan.path)
    assert plan.path[0][0].startswith("verify")
    assert plan.warnings == []


def test_dropped_features_are_not_there_in_the_end(values: dict[str, Any]) -> None:
    plan = make_plan(check_config({**values, "keep_features": False}), ALONE)
    pictures = ("frames", "hand_crops", "depth_hand_crops", "flow", "depth_flow", "hha")
    dropped = sum(rows(plan)[name].bytes for name in pictures)
    assert plan.final_bytes == pytest.approx(sum(row.bytes for row in plan.rows) - dropped)
    assert plan.final_bytes < plan.peak_bytes <= sum(row.bytes for row in plan.rows)


def test_the_peak_by_hand() -> None:
    """Of two temporary files the first is gone before the second is made."""

    def job(name: str, inputs: tuple[str, ...], outputs: tuple[str, ...], *, gone: bool) -> Job:
        return Job(name, (), inputs, outputs, "", None, temporary=gone)

    jobs = [
        job("one", (), ("1.h5",), gone=True),
        job("read_one", ("1.h5",), ("1.out",), gone=False),
        job("two", (), ("2.h5",), gone=True),
        job("read_two", ("2.h5",), ("2.out",), gone=False),
    ]
    sizes = {"one": 100, "read_one": 1, "two": 200, "read_two": 1}
    costs = {name: Cost(1.0, size, "assumed") for name, size in sizes.items()}
    after = Schedule({}, {"one": 1, "read_one": 2, "two": 3, "read_two": 4})
    assert peak_bytes(jobs, costs, after) == 202
    beside = Schedule({}, {"one": 1, "two": 1, "read_one": 2, "read_two": 2})
    assert peak_bytes(jobs, costs, beside) == 302


def test_a_run_tells_its_own_rates_and_sizes(values: dict[str, Any]) -> None:
    config = check_config(values)
    jobs = [job for job in planned_jobs(config, load_samples(config.data)) if job.rule == "frames"]
    before = rows(make_plan(config, ALONE))
    for job in jobs[:2]:
        assert job.benchmark
        for path in (job.benchmark, *job.outputs):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(job.benchmark).write_text(f"s\th:m:s\n{job.samples * 36}\t-\n")
        Path(job.outputs[0]).write_bytes(bytes(1000))
    plan = make_plan(config, ALONE)
    frames = rows(plan)["frames"]
    assert frames.core_hours == pytest.approx(128 * 36 / 3600)
    assert frames.sources == ("this run",)
    share = sum(job.samples for job in jobs[2:]) / 128
    assert frames.bytes == pytest.approx(before["frames"].bytes * share + 2000)
    assert plan.missing_bytes == pytest.approx(plan.final_bytes - 2000)
    others = {name: row for name, row in rows(plan).items() if name != "frames"}
    assert others == {name: row for name, row in before.items() if name != "frames"}


def test_a_damaged_benchmark_file_is_named(tmp_path: Path) -> None:
    assert read_seconds(tmp_path / "none.tsv") is None
    path = tmp_path / "a.tsv"
    path.write_text("s\th:m:s\nsoon\t-\n")
    with pytest.raises(ArtifactError, match=r"a\.tsv: not a benchmark file .*; delete it"):
        read_seconds(path)


def test_what_does_not_fit_is_said(values: dict[str, Any], tmp_path: Path) -> None:
    lines = [f"c{n},{split},{n % 3},c{n}.mp4" for n in range(300) for split in ("train",)]
    lines += ["v,val,0,v.mp4", "t,test,0,t.mp4"]
    (tmp_path / "samples.csv").write_text("\n".join(["sample,split,label,color", *lines]))
    deep = "r" * 200
    changed: dict[str, Any] = {
        **values,
        "results": f"{tmp_path}/{deep}/{deep}",
        "shard_size": 1,
        "data": {"layout": "table", "table": str(tmp_path / "samples.csv")},
        "streams": {"joint": values["streams"]["joint"]},
        "tracks": {"rgb": {"streams": {"joint": 1.0}}},
    }
    (warning,) = make_plan(check_config(changed), ALONE).warnings
    assert warning.startswith("shard_size: 1 makes a command of 1")
    assert warning.endswith(
        "for train joint train, which names each shard, and Linux takes 131,071; raise it"
    )


def test_too_long_for_a_cluster_is_said(values: dict[str, Any]) -> None:
    values["streams"]["rgb"]["training"]["epochs"] = 100000
    (warning,) = make_plan(check_config(values), ALONE).warnings
    assert warning.startswith("train: train rgb train takes some ")
    assert warning.endswith("asks a cluster for 1,440; raise its runtime in the profile")


def test_what_a_stream_lacks_is_a_warning(values: dict[str, Any], tmp_path: Path) -> None:
    values["streams"]["rgb"]["init"] = {"path": str(tmp_path / "none.safetensors")}
    (warning,) = make_plan(check_config(values), ALONE).warnings
    assert warning.startswith("streams.rgb.init.path: ")


def test_more_machines_are_faster(values: dict[str, Any]) -> None:
    config = check_config({**values, "device": "auto"})
    alone, twenty = make_plan(config, Machines(1, 8, 1)), make_plan(config, Machines(20, 8, 4))
    assert twenty.makespan < alone.makespan
    assert rows(alone)["train rgb"].gpu_hours > 0 == rows(alone)["train rgb"].core_hours


@pytest.mark.parametrize("wrong", [["--cores", "0"], ["--gpus", "-1"], ["--nodes", "0"]])
def test_wrong_machines_are_one_line(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["plan", str(ROOT / "config.yaml"), *wrong])
    assert capsys.readouterr().err.startswith(f"error: {' '.join(wrong)}: expected ")


def test_no_torch_is_loaded() -> None:
    code = "from slr_pipeline.cli.main import main; main(['plan'])"
    code = f"import sys; {code}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"torch", "pandas", "snakemake"} & set(done.stdout.split())


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["plan", str(ROOT / "config.yaml"), "--cores", "4"])
    text = capsys.readouterr().out
    assert text.startswith("demo: 128 samples, 8 classes; protocol strict, 11 streams, 2 tracks\n")
    assert "critical path: " in text
    assert "\n  train sstcn " in text
