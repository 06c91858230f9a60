"""Copies of a video are grouped; they are named if they are in several splits or classes."""

import pytest

from slr_pipeline.config.experiment import Split
from slr_pipeline.samples.duplicates import (
    Duplicate,
    Twins,
    duplicate_problems,
    duplicate_warnings,
    duplicates_of,
    equal_twins,
    twins_elsewhere,
)
from slr_pipeline.samples.table import Sample, SampleTable

Row = tuple[Split, int | None, str, str]


def table(*rows: Row) -> SampleTable:
    """Samples a, b, ... of these splits and labels."""
    named = zip("abcdef", rows, strict=False)
    samples = (Sample(n, split, label, "1", "x", "x") for n, (split, label, *_) in named)
    return SampleTable(("yes", "no"), tuple(samples))


def found(*rows: Row) -> list[Duplicate]:
    """Duplicates among samples a, b, ... of these splits, labels and SHA-256 of both videos."""
    sums = {name: row[2:] for name, row in zip("abcdef", rows, strict=False)}
    return duplicates_of(table(*rows), equal_twins(sums))


@pytest.mark.parametrize(
    ("rows", "members"),
    [
        ([("train", 0, "1", "2"), ("test", 0, "3", "4")], ""),
        ([("train", 0, "", ""), ("test", 1, "", "")], ""),
        ([("train", 0, "1", ""), ("train", 0, "1", "")], "ab"),
    ],
    ids=["different", "unknown", "twice the same"],
)
def test_no_word_about_these(rows: list[Row], members: str) -> None:
    duplicates = found(*rows)
    assert [row.sample for row in duplicates] == list(members)
    assert duplicate_warnings(duplicates, excluded=False) == []
    assert duplicate_problems(duplicates) == []


def test_equal_videos_in_several_splits() -> None:
    leak = "1 video is in several splits under other names, first a (train)"
    duplicates = found(("train", 0, "1", "2"), ("val", 0, "3", "4"), ("test", None, "1", "2"))
    (line,) = duplicate_warnings(duplicates, excluded=False)
    assert line == (f"The accuracy is too high: {leak}, c (test); set data.duplicates: exclude.")
    (line,) = duplicate_warnings(duplicates, excluded=True)
    assert line == f"{leak}, c (test); training left out the copies of clips to predict."
    (line,) = duplicate_warnings(
        found(("train", 0, "1", "2"), ("val", 0, "3", "2")), excluded=False
    )
    assert leak in line  # only depth


def test_equal_videos_of_several_classes() -> None:
    rows: list[Row] = [("train", label, f"{n}", "") for n in range(2) for label in (0, 1)]
    (line,) = duplicate_warnings(found(*rows), excluded=False)
    assert line == "2 videos are labelled as several classes, first a (yes), b (no)."
    assert duplicate_problems(found(*rows)) == [
        "a (train yes equal), b (train no equal)",
        "c (train yes equal), d (train no equal)",
    ]


def test_groups_are_connected_and_leaks_come_first() -> None:
    twins = [
        Twins("a", "b", "near", 0.1),
        Twins("f", "d", "mirrored", 0.1234567),
        Twins("c", "d", "near", 0.05),
    ]
    splits: tuple[Split, ...] = ("train", "train", "train", "train", "val", "test")
    rows = duplicates_of(table(*((split, 0, "", "") for split in splits)), twins)
    assert [(row.group, row.sample, row.twin, row.kind, row.distance) for row in rows] == [
        (1, "c", "d", "near", 0.05),
        (1, "d", "c", "near", 0.05),
        (1, "f", "d", "mirrored", 0.1235),
        (2, "a", "b", "near", 0.1),
        (2, "b", "a", "near", 0.1),
    ]
    assert [row.crosses_splits for row in rows] == [1, 1, 1, 0, 0]


def test_training_leaves_out_copies_of_samples_elsewhere_and_no_other() -> None:
    rows = found(*((split, 0, sha, "") for split, sha in (
        ("train", "1"), ("test", "1"), ("train", "2"), ("train", "2"), ("val", "3"), ("train", "3")
    )))  # fmt: skip
    assert twins_elsewhere(rows, {"a", "c", "d", "f"}) == {"a", "f"}
    assert twins_elsewhere(rows, {"a", "c", "d", "e", "f"}) == {"a"}  # fine-tuning trains on val
    assert twins_elsewhere(rows, {"a", "c", "f"}) == {"a", "c", "f"}  # d is held out of a fold
