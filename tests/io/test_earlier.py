"""Which clips of an earlier feature file are taken over."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from slr_pipeline.io.container import seal
from slr_pipeline.io.feature_writer import create_feature_file
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.provenance import provenance
from slr_pipeline.io.shards import clip_of, rows_to_make
from slr_pipeline.io.verified import Verified, Video

ROW = Verified("a", "a.mp4", "", "", frames=3, width=8, height=6, fps=25.0, color_sha256="sum")
ATTRIBUTES: dict[str, Any] = {"estimator": "x 1", "smoothed": False}
SETTINGS = {"estimator": "x", "limit": 0.5}


def made(
    out: Path,
    row: Verified = ROW,
    video: Video | None = "color",
    attributes: dict[str, Any] = ATTRIBUTES,
    settings: dict[str, Any] = SETTINGS,
) -> bool:
    """Write keypoints of one clip; whether they were made instead of taken over."""
    facts = provenance(settings=settings, inputs={})
    count = 0
    with create_feature_file(out, "keypoints", attributes, facts) as writer:
        for each, _ in rows_to_make([row], writer, video):
            values = np.full((len(row.feature_frames()), 133, 3), 0.5, np.float32)
            writer.add(clip_of(each, values))
            count += 1
    assert (FeatureStore("keypoints", [out]).read(row.sample).values == 0.5).all()
    return count == 1


def test_a_clip_made_alike_is_taken_over(tmp_path: Path) -> None:
    assert made(tmp_path / "all.h5")
    first = (tmp_path / "all.h5").read_bytes()
    assert not made(tmp_path / "all.h5")
    assert (tmp_path / "all.h5").read_bytes() == first
    assert not made(tmp_path / "all.h5", replace(ROW, sample="renamed", color="moved/b.mp4"))


@pytest.mark.parametrize(
    ("attributes", "settings", "row"),
    [
        ({"estimator": "x 2"}, {}, {}),
        ({"smoothed": True}, {}, {}),
        ({}, {"limit": 0.4}, {}),
        ({}, {}, {"color_sha256": "other"}),
        ({}, {}, {"frames": 4}),
        ({}, {}, {"width": 9}),
        ({}, {}, {"fps": 30.0}),
        ({}, {}, {"rate": 12.5}),
        ({}, {}, {"rate": 25.0, "times_ms": "0 40 160"}),
    ],
)
def test_only_clips_made_alike_are_taken_over(
    tmp_path: Path, attributes: dict[str, Any], settings: dict[str, Any], row: dict[str, Any]
) -> None:
    made(tmp_path / "all.h5")
    new = {"attributes": ATTRIBUTES | attributes, "settings": SETTINGS | settings}
    assert made(tmp_path / "all.h5", replace(ROW, **row), **new)


@pytest.mark.parametrize(("row", "video"), [({"color_sha256": ""}, "color"), ({}, None)])
def test_a_clip_of_unknown_inputs_is_made_again(
    tmp_path: Path, row: dict[str, Any], video: Video | None
) -> None:
    for _ in range(2):
        assert made(tmp_path / "all.h5", replace(ROW, **row), video)


@pytest.mark.parametrize(
    ("earlier", "shard", "overlap"),
    [
        ("all", "0", True),
        ("1", "101", True),
        ("01", "all", True),
        ("01", "0", True),
        ("0", "1", False),
        ("01", "00", False),
    ],
)
def test_clips_are_in_the_files_of_overlapping_shards(
    tmp_path: Path, earlier: str, shard: str, overlap: bool
) -> None:
    made(tmp_path / f"{earlier}.h5")
    assert made(tmp_path / f"{shard}.h5") != overlap


def test_damaged_and_foreign_files_are_ignored(tmp_path: Path) -> None:
    file = tmp_path / "all.h5"
    made(file)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    file.write_bytes(data)
    (tmp_path / "0.h5").write_bytes(b"no HDF5")
    assert made(tmp_path / "0.h5")


def test_a_file_without_digests_is_read_but_not_taken_over(tmp_path: Path) -> None:
    file = tmp_path / "all.h5"
    made(file)
    with h5py.File(file, "r+") as opened:
        del opened["digest"]
    seal(file)
    assert FeatureStore("keypoints", [file]).frames("a") == 3
    assert made(file)
