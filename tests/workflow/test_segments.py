"""Segments of recordings through Snakemake: what runs again when their times change."""

from pathlib import Path

import numpy as np

from slr_pipeline.config.experiment import SPLITS, TableData
from slr_pipeline.io.foreign.annotations import Annotation, write_annotations
from slr_pipeline.samples.shards import shards
from slr_pipeline.samples.table import load_samples
from tests.videos import signer, write
from tests.workflow.conftest import CONFIG, WorkflowRun

SHARD_SIZE = 5
HEADER = "sample,split,label,color"
OTHERS = ["v,val,0,c.mp4", "t,test,1,c.mp4"]
LENGTHS = {"a": 60, "b": 60, "v": 60, "t": 60}
"""Frames of the samples that are whole clips."""


def segments(recording: str, later: float = 0) -> list[str]:
    """Rows of four segments of ten frames; the second begins `later` s later."""
    starts = (0, 0.5 + later, 1, 1.5)
    return [
        f"{recording}{n},train,{n % 2},{recording}.mp4,{start:g},{start + 0.4:g}"
        for n, start in enumerate(starts)
    ]


def make_run(folder: Path) -> WorkflowRun:
    """Two recordings of train, and keypoints of all samples that the test names."""
    for name in "abc":
        write(folder / f"{name}.mp4", [*signer(64, 48)] * 15)
    frames = LENGTHS | {f"{name}{n}": 10 for name in "ab" for n in range(4)}
    point = np.float32([20, 20, 1])
    points = {name: np.tile(point, (number, 133, 1)) for name, number in frames.items()}
    annotations = [Annotation(name, "train", 0, own, 64, 48) for name, own in points.items()]
    write_annotations(folder / "keypoints.pkl", annotations)
    imported = {"estimator": "imported", "format": "mmaction2", "path": "keypoints.pkl"}
    config = {**CONFIG, "shard_size": SHARD_SIZE, "features": {"keypoints": imported}}
    return WorkflowRun(folder, config)


def targets(run: WorkflowRun, header: str, rows: list[str]) -> list[str]:
    """The files of `frames` of a table, which is written."""
    table = run.folder / "samples.csv"
    table.write_text("\n".join([header, *rows]) + "\n")
    loaded = load_samples(TableData(layout="table", table=str(table)))
    return [
        f"results/features/frames/{split}/{shard}.h5"
        for split in SPLITS
        for shard in shards(loaded.split(split), SHARD_SIZE)
    ]


def test_empty_columns_of_times_remake_nothing(tmp_path: Path) -> None:
    run, rows = make_run(tmp_path), ["a,train,0,a.mp4", "b,train,1,b.mp4", *OTHERS]
    files = targets(run, HEADER, rows)
    done = run.snakemake(*files)
    assert done.returncode == 0, done.stdout + done.stderr
    assert targets(run, f"{HEADER},start_s,end_s", [f"{row},," for row in rows]) == files
    assert run.planned(*files) == {}


def test_changed_times_remake_one_shard(tmp_path: Path) -> None:
    """And of its clips only the one whose times have changed."""
    run, header = make_run(tmp_path), f"{HEADER},start_s,end_s"
    others = [f"{row},," for row in OTHERS]
    files = targets(run, header, [*segments("a"), *segments("b"), *others])
    assert len(files) == 4
    done = run.snakemake(*files)
    assert done.returncode == 0, done.stdout + done.stderr
    made = {file: (tmp_path / file).read_bytes() for file in files}
    times = {file: (tmp_path / file).stat().st_mtime_ns for file in files}
    assert targets(run, header, [*segments("a", 0.04), *segments("b"), *others]) == files
    assert run.planned(*files) == {"verify": 1, "quarantine": 1, "keypoints": 1, "frames": 1}
    done = run.snakemake(*files)
    assert done.returncode == 0, done.stdout + done.stderr
    (remade,) = (file for file in files if (tmp_path / file).stat().st_mtime_ns != times[file])
    assert (tmp_path / remade).read_bytes() != made[remade]
    log = tmp_path / "results/logs/frames" / Path(remade).parent.name / f"{Path(remade).stem}.log"
    assert "3 of 4 clips taken over from an earlier file" in log.read_text()
