"""Altered copies of a clip are found; another take of the same signs by the same signer is not."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from slr_pipeline.cli.check import describe
from slr_pipeline.config.experiment import TableData, read_config
from slr_pipeline.errors import DataError
from slr_pipeline.io.duplicates import read_duplicates
from slr_pipeline.io.verified import Verified, write_verified
from slr_pipeline.io.video import read_frames
from slr_pipeline.samples.segments import Segment
from slr_pipeline.samples.table import Sample, load_samples
from slr_pipeline.steps.duplicates import duplicates
from slr_pipeline.steps.verify import verify, verify_sample
from tests.shared_data import CASES, NEEDS_CASES
from tests.videos import DEMO, Pictures, orient_track, write

TAKES = (("sample1", "sample2"), ("sample4", "sample6"))
"""Clips of signer 0, the same two signs twice."""


@cache
def take(number: int) -> tuple[np.ndarray, ...]:
    """Pictures (256, 256, 3) of both signs, one after the other."""
    return tuple(
        cv2.resize(picture, (256, 256), interpolation=cv2.INTER_AREA)
        for clip in TAKES[number]
        for picture in read_frames(DEMO.parent / f"signer0_{clip}_color.mp4")
    )


Alteration = Callable[[Pictures], Pictures]
ALTERED: dict[str, Alteration] = {
    "encoded": lambda pictures: pictures,
    "scaled": lambda pictures: [cv2.resize(p, (144, 112)) for p in pictures],
    "cropped": lambda pictures: [p[6:-6, 6:-6] for p in pictures],
    "trimmed": lambda pictures: pictures[5:-4],
    "darker": lambda pictures: [(p * 0.7 + 10).astype(np.uint8) for p in pictures],
    "mirrored": lambda pictures: [p[:, ::-1] for p in pictures],
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Verified]:
    """What `verify` finds of a clip, its copies, and another take."""
    folder = tmp_path_factory.mktemp("clips")
    pictures = list(take(0))
    videos = {
        "original": write(folder / "original.mp4", pictures, options={"crf": "18"}),
        "other": write(folder / "other.mp4", take(1), options={"crf": "18"}),
        "turned": orient_track(
            write(folder / "turned.mp4", [np.rot90(p) for p in pictures]), (0, 1, -1, 0)
        ),
    }
    for name, alter in ALTERED.items():
        options = {"crf": "32"}
        altered = map(np.ascontiguousarray, alter(pictures))
        videos[name] = write(folder / f"{name}.mp4", altered, options=options)
    return {
        name: verify_sample(Sample(name, "train", 0, None, str(path), None))
        for name, path in videos.items()
    }


def run(folder: Path, chosen: list[Verified], policy: str = "warn") -> list[dict[str, object]]:
    """Rows of duplicates.csv of these samples, the first of test and the others of train."""
    lines = ["sample,split,label,color", f"{chosen[0].sample},test,a,x", "v,val,b,v"]
    lines += [f"{row.sample},train,{'ab'[n % 2]},x{n}" for n, row in enumerate(chosen[1:])]
    (folder / "samples.csv").write_text("\n".join(lines) + "\n")
    data = TableData.model_validate(
        {"layout": "table", "table": str(folder / "samples.csv"), "duplicates": policy}
    )
    write_verified(folder / "verified.csv", chosen)
    duplicates(data, [str(folder / "verified.csv")], str(folder / "duplicates.csv"))
    return [row._asdict() for row in read_duplicates(folder / "duplicates.csv")]


@pytest.mark.parametrize("name", [*ALTERED, "turned"])
def test_an_altered_copy_is_found_and_another_take_is_not(
    rows: dict[str, Verified], tmp_path: Path, name: str
) -> None:
    found = run(tmp_path, [rows["original"], rows["other"], rows[name]])
    assert {row["sample"] for row in found} == {"original", name}
    kind = "mirrored" if name == "mirrored" else "near"
    assert {(row["group"], row["kind"], row["crosses_splits"]) for row in found} == {(1, kind, 1)}
    assert list(pd.read_csv(tmp_path / "duplicates.csv")["sample"]) == ["original", name]


def test_error_stops_with_a_line_per_group(rows: dict[str, Verified], tmp_path: Path) -> None:
    chosen = [rows["original"], rows["other"], replace(rows["other"], sample="again")]
    with pytest.raises(DataError) as stop:
        run(tmp_path, chosen, "error")
    first, line = str(stop.value).splitlines()
    assert first.startswith("1 videos are several samples")
    assert line == "  other (train a equal), again (train b equal)"
    assert not (tmp_path / "duplicates.csv").exists()
    assert len(run(tmp_path, chosen, "exclude")) == 2


def test_segments_that_share_pictures_are_copies(tmp_path: Path) -> None:
    """Segments of one recording, and segments of a recording and its re-encoded copy."""
    pictures = [*take(0), *take(1)]
    recording = write(tmp_path / "long.mp4", pictures, options={"crf": "18"})
    again = write(tmp_path / "again.mp4", pictures[10:], options={"crf": "32"})
    half, end = len(take(0)) / 25, len(pictures) / 25

    def segment(name: str, path: Path, start: float, end: float) -> Verified:
        times = Segment(start, end)
        return verify_sample(Sample(name, "train", 0, None, str(path), None, segment=times))

    first = segment("first", recording, 0, half)
    later = segment("later", recording, 0.32, half)
    encoded = segment("encoded", again, 0, half - 0.4)
    other = segment("other", recording, half, end)
    found = run(tmp_path, [first, later, encoded, other])
    assert [row["sample"] for row in found] == ["first", "later", "encoded"]
    assert {(row["group"], row["kind"], row["crosses_splits"]) for row in found} == {(1, "near", 1)}
    found = run(tmp_path, [other, replace(other, sample="same"), first])
    assert [(row["sample"], row["kind"]) for row in found] == [
        ("other", "equal"),
        ("same", "equal"),
    ]


@NEEDS_CASES
def test_twins_are_named_in_the_log_and_by_slr_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(CASES / "twins", tmp_path / "run")
    monkeypatch.chdir(tmp_path / "run")
    config = read_config("config.yaml")
    assert "several" not in describe(config, load_samples(config.data))
    tables = [f"results/verify/{split}/all.csv" for split in ("train", "val", "test")]
    for table in tables:
        verify(config.data, Path(table).parent.name, "all", 512, 60, table)
    with caplog.at_level(logging.WARNING):
        duplicates(config.data, tables, "results/duplicates.csv")
    leak = "in several splits under other names, first a (train), b (train), c (val)"
    mixed = "1 video is labelled as several classes, first a (x), b (y), c (x)"
    for where in (caplog.text, describe(config, load_samples(config.data))):
        assert leak in where
        assert mixed in where
