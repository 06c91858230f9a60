"""Which clips of an earlier feature file are taken over."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slr_pipeline.io.earlier import EarlierClips
from slr_pipeline.io.feature_writer import create_feature_file
from slr_pipeline.io.provenance import provenance
from slr_pipeline.io.shards import clip_of
from slr_pipeline.io.verified import Verified

SETTINGS = {"estimator": "x", "limit": 0.5}
ATTRIBUTES: dict[str, Any] = {"estimator": "x 1", "smoothed": False}
ROW = Verified("a", "a.mp4", "", "", frames=3, width=8, height=6, fps=25.0, color_sha256="sum")


@pytest.fixture
def out(tmp_path: Path) -> str:
    """The path of a file beside an earlier one of a shard with another name."""
    facts = provenance(settings=SETTINGS, inputs={ROW.sample: ROW.color_sha256})
    with create_feature_file(tmp_path / "all.h5", "keypoints", ATTRIBUTES, facts) as writer:
        writer.add(clip_of(ROW, np.full((3, 133, 3), 0.5, np.float32)))
    return str(tmp_path / "0.h5")


def test_a_clip_made_alike_is_taken_over(out: str) -> None:
    earlier = EarlierClips(out, "keypoints", ATTRIBUTES, SETTINGS)
    values = earlier.values(ROW)
    assert values is not None
    assert values.shape == (3, 133, 3)
    assert (values == 0.5).all()
    assert earlier.taken == 1


@pytest.mark.parametrize(
    ("attributes", "settings", "row"),
    [
        ({"estimator": "x 2"}, {}, {}),
        ({"smoothed": True}, {}, {}),
        ({}, {"limit": 0.4}, {}),
        ({}, {}, {"color_sha256": "other"}),
        ({}, {}, {"sample": "b"}),
        ({}, {}, {"frames": 4}),
        ({}, {}, {"width": 9}),
        ({}, {}, {"fps": 30.0}),
        ({}, {}, {"rate": 12.5}),
    ],
)
def test_only_clips_made_alike_are_taken_over(
    out: str, attributes: dict[str, Any], settings: dict[str, Any], row: dict[str, Any]
) -> None:
    earlier = EarlierClips(out, "keypoints", ATTRIBUTES | attributes, SETTINGS | settings)
    assert earlier.values(replace(ROW, **row)) is None
    assert earlier.taken == 0


def test_damaged_and_foreign_files_are_ignored(out: str) -> None:
    file = Path(out).with_name("all.h5")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    file.write_bytes(data)
    Path(out).write_bytes(b"no HDF5")
    assert EarlierClips(out, "keypoints", ATTRIBUTES, SETTINGS).values(ROW) is None
