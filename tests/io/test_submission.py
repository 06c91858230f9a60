"""Submissions: the exact bytes, the zip, and what is refused."""

import zipfile
from pathlib import Path

import pytest

from slr_pipeline.errors import DataError
from slr_pipeline.io.submission import check_submission, write_submission

SAMPLES = ["signer6_sample2", "signer6_sample1"]
ROWS = [("signer6_sample2", 225), ("signer6_sample1", 0)]


def test_lines_and_zip_in_sample_order(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    write_submission(path, ROWS, SAMPLES, classes=226)
    assert path.read_bytes() == b"signer6_sample2,225\nsigner6_sample1,0\n"
    with zipfile.ZipFile(tmp_path / "submission.zip") as archive:
        assert archive.namelist() == ["predictions.csv"]
        assert archive.read("predictions.csv") == path.read_bytes()
    before = (tmp_path / "submission.zip").read_bytes()
    write_submission(path, ROWS, SAMPLES, classes=226)
    assert (tmp_path / "submission.zip").read_bytes() == before


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([*ROWS[:1], ("signer6_sample1", 226)], "line 2: expected `name,label`"),
        (ROWS[:1], r"missing \['signer6_sample1'\]"),
        ([*ROWS, ("other", 1)], r"extra \['other'\]"),
        ([*ROWS, ROWS[0]], "expected 2 names in sample order, found 3"),
        (ROWS[::-1], "in sample order"),
    ],
)
def test_a_wrong_submission_is_not_written(
    tmp_path: Path, rows: list[tuple[str, int]], line: str
) -> None:
    with pytest.raises(DataError, match=line):
        write_submission(tmp_path / "submission.csv", rows, SAMPLES, classes=226)
    assert list(tmp_path.iterdir()) == []


def test_foreign_lines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "submission.csv"
    path.write_text("signer6_sample2, 1\nsigner6_sample1,0\n")
    with pytest.raises(DataError, match="line 1: expected `name,label`"):
        check_submission(path, SAMPLES, 226)
