"""Equal videos are named if they are in several splits or of several classes."""

import pytest

from slr_pipeline.config.experiment import Split
from slr_pipeline.samples.duplicates import duplicate_warnings
from slr_pipeline.samples.table import Sample, SampleTable

Row = tuple[Split, int | None, str, str]


def warnings(*rows: Row) -> list[str]:
    """Warnings about samples a, b, ... of these splits, labels and SHA-256 of colour and depth."""
    named = list(zip("abcdef", rows, strict=False))
    samples = (Sample(n, split, label, "1", "x", "x") for n, (split, label, *_) in named)
    sums = {name: (color, depth) for name, (_, _, color, depth) in named}
    return duplicate_warnings(SampleTable(("yes", "no"), tuple(samples)), sums)


@pytest.mark.parametrize(
    "rows",
    [
        [("train", 0, "1", "2"), ("test", 0, "3", "4")],
        [("train", 0, "1", ""), ("train", 0, "1", "")],
        [("train", 0, "", ""), ("test", 1, "", "")],
    ],
    ids=["different", "twice the same", "unknown"],
)
def test_no_word_about_these(rows: list[Row]) -> None:
    assert warnings(*rows) == []


def test_equal_videos_in_several_splits() -> None:
    leak = "The accuracy is too high: 1 video is in several splits under other names"
    (line,) = warnings(("train", 0, "1", "2"), ("val", 0, "3", "4"), ("test", None, "1", "2"))
    assert line == f"{leak} (equal SHA-256), first a (train), c (test)."
    (line,) = warnings(("train", 0, "1", "2"), ("val", 0, "3", "2"))  # only depth
    assert line.startswith(leak)


def test_equal_videos_of_several_classes() -> None:
    (line,) = warnings(*[("train", label, f"{n}", "") for n in range(2) for label in (0, 1)])
    assert line == (
        "2 videos are labelled as several classes (equal SHA-256), first a (yes), b (no)."
    )
