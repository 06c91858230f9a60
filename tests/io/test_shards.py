"""Whatever fails within a clip names the sample, at once or when its frames are taken."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slr_pipeline.errors import ArtifactError, DataError
from slr_pipeline.io.feature_writer import NewClip, write_feature
from slr_pipeline.io.shards import clip_of, new_clips
from slr_pipeline.io.verified import Verified

ROWS = [
    Verified("fine", "a.mp4", "", "", 2, 64, 64, 25.0, "0", ""),
    Verified("gone", "b.mp4", "", "no file"),
    Verified("bad", "c.mp4", "", "", 2, 64, 64, 25.0, "0", ""),
]


def write(path: Path, error: Exception, *, late: bool) -> None:
    def frames(row: Verified) -> Iterator[np.ndarray[Any, Any]]:
        yield np.zeros((133, 3), np.float32)
        if row.sample == "bad":
            raise error
        yield np.zeros((133, 3), np.float32)

    def make(row: Verified) -> NewClip:
        if row.sample == "bad" and not late:
            raise error
        return clip_of(row, frames(row))

    write_feature(path, "keypoints", new_clips(ROWS, make), {}, {})


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("kind", [DataError, ArtifactError])
def test_an_error_to_mend_names_the_sample(
    tmp_path: Path, kind: type[Exception], late: bool
) -> None:
    with pytest.raises(kind) as caught:
        write(tmp_path / "x.h5", kind("c.mp4 is broken"), late=late)
    assert str(caught.value) == "sample bad: c.mp4 is broken"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("late", [False, True])
def test_a_bug_keeps_its_traceback_and_names_the_sample(tmp_path: Path, late: bool) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        write(tmp_path / "x.h5", ZeroDivisionError("a bug"), late=late)
    assert "sample bad" in caught.value.__notes__[0]
