"""Logits files (docs/reference/artifacts.md)."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.logits import read_logits, write_logits
from slr_pipeline.scoring.logits import Logits

LOGITS = Logits(
    samples=("a", "b"),
    values=np.array([[1, 2, 3], [0, 0, 0]], np.float32),
    answered=np.array([True, False]),
    classes=("x", "ğ", "z"),
    protocol="strict",
)


def test_logits_are_read_back(tmp_path: Path) -> None:
    write_logits(tmp_path / "val.h5", LOGITS, {"stream": "joint"})
    actual = read_logits(tmp_path / "val.h5")
    assert (actual.samples, actual.classes) == (LOGITS.samples, LOGITS.classes)
    np.testing.assert_array_equal(actual.values, LOGITS.values)
    np.testing.assert_array_equal(actual.answered, LOGITS.answered)
    assert actual.seeds is None
    before = (tmp_path / "val.h5").read_bytes()
    write_logits(tmp_path / "val.h5", LOGITS, {"stream": "joint"})
    assert (tmp_path / "val.h5").read_bytes() == before


def test_logits_of_seeds_are_read_back(tmp_path: Path) -> None:
    seeds = np.stack([LOGITS.values - 1, LOGITS.values + 1], axis=1)
    write_logits(tmp_path / "val.h5", replace(LOGITS, seeds=seeds), {})
    actual = read_logits(tmp_path / "val.h5").seeds
    assert actual is not None
    np.testing.assert_array_equal(actual, seeds)


@pytest.mark.parametrize(
    ("logits", "line"),
    [
        (replace(LOGITS, values=np.full((2, 3), np.nan, np.float32)), "NaN or infinite"),
        (replace(LOGITS, samples=("a", "a")), "appears twice"),
        (replace(LOGITS, classes=("x", "y")), "disagree"),
        (replace(LOGITS, answered=np.array([True])), "disagree"),
        (replace(LOGITS, seeds=np.zeros((2, 2, 4), np.float32)), "disagree"),
        (replace(LOGITS, seeds=np.full((2, 2, 3), np.inf, np.float32)), "NaN or infinite"),
    ],
)
def test_wrong_logits_are_not_written(tmp_path: Path, logits: Logits, line: str) -> None:
    with pytest.raises(ArtifactError, match=line):
        write_logits(tmp_path / "val.h5", logits, {})
    assert list(tmp_path.iterdir()) == []
