"""An error in a clip names the sample, whether its frames are made early or late."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slr_pipeline.errors import ArtifactError, DataError
from slr_pipeline.io.feature_writer import create_feature_file
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.shards import clip_of, rows_to_make
from slr_pipeline.io.verified import Verified

ROWS = [
    Verified("fine", "a.mp4", "", "", 2, 64, 64, 25.0, "0", ""),
    Verified("gone", "b.mp4", "", "no file"),
    Verified("bad", "c.mp4", "", "", 2, 64, 64, 25.0, "0", ""),
]


def write(path: Path, error: Exception | None, *, late: bool = False) -> None:
    """Write two frames per row; `bad` raises before its clip is added, or at its second frame."""

    def frames(row: Verified) -> Iterator[np.ndarray[Any, Any]]:
        yield np.zeros((133, 3), np.float32)
        if error and row.sample == "bad":
            raise error
        yield np.zeros((133, 3), np.float32)

    with create_feature_file(path, "keypoints", {}, {}) as writer:
        for row in rows_to_make(ROWS, writer):
            if error and row.sample == "bad" and not late:
                raise error
            writer.add(clip_of(row, frames(row)))


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("kind", [DataError, ArtifactError])
def test_a_user_error_names_the_sample(tmp_path: Path, kind: type[Exception], late: bool) -> None:
    with pytest.raises(kind) as caught:
        write(tmp_path / "x.h5", kind("c.mp4 is broken"), late=late)
    assert str(caught.value) == "sample bad: c.mp4 is broken"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("late", [False, True])
def test_a_bug_keeps_its_traceback_and_names_the_sample(tmp_path: Path, late: bool) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        write(tmp_path / "x.h5", ZeroDivisionError("a bug"), late=late)
    assert caught.value.__notes__ == ["sample bad"]


def test_quarantined_rows_stay_without_frames(tmp_path: Path) -> None:
    write(tmp_path / "x.h5", None)
    store = FeatureStore("keypoints", [tmp_path / "x.h5"])
    assert {name: store.frames(name) for name in store.samples} == {"fine": 2, "gone": 0, "bad": 2}
