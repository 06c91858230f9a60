"""Splits: no signer in two of them, shares, De Coster's rule, and errors."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slr_pipeline.config.experiment import TableData
from slr_pipeline.errors import ConfigError, DataError, SlrError
from slr_pipeline.samples.split_table import check_labels, describe_split, parse_table, table_text
from slr_pipeline.samples.splits import (
    decoster_dev_split,
    decoster_folds,
    signer_folds,
    stratified_split,
)
from slr_pipeline.samples.table import load_samples
from slr_pipeline.text import refused_character
from tests.shared_data import NEEDS_AUTSL, SHARED

HEADER = "sample,label,signer,color\n"


def make_table(clips: dict[str, str], columns: str = HEADER.strip()) -> pd.DataFrame:
    """A table of signers, each with one clip for every letter of a text of labels."""
    lines = [columns]
    for signer, labels in clips.items():
        for number, label in enumerate(labels):
            name = f"{signer}_{number}"
            cells = {"sample": name, "label": label, "signer": signer, "color": f"{name}.mp4"}
            lines.append(",".join(cells.get(column, "") for column in columns.split(",")))
    return parse_table("t.csv", "\n".join(lines).encode())[0]


def split_of(table: pd.DataFrame, *, val: float, test: float, seed: int) -> list[str]:
    labels, signers = table["label"].tolist(), table["signer"].tolist()
    return [*stratified_split(labels, signers, val=val, test=test, seed=seed)]


TEN = make_table({f"s{i}": "aabbccdd" for i in range(10)})


def test_equal_signers_give_exact_shares() -> None:
    split = split_of(TEN, val=0.1, test=0.2, seed=1)
    assert Counter(split) == {"train": 56, "val": 8, "test": 16}
    summary = describe_split(TEN, split)
    assert [len(summary[name]["signers"]) for name in ("train", "val", "test")] == [7, 1, 2]
    assert all(summary[name]["missing_classes"] == [] for name in summary)
    assert split_of(TEN, val=0.1, test=0.2, seed=1) == split
    assert split_of(TEN, val=0.1, test=0.2, seed=2) != split


@settings(max_examples=100, deadline=None)
@given(
    clips=st.lists(st.text("abcd", min_size=1, max_size=12), min_size=3, max_size=12),
    val=st.floats(0.01, 0.49),
    test=st.floats(0.01, 0.49),
    seed=st.integers(0, 5),
)
def test_each_signer_is_in_one_split_and_no_split_is_empty(
    clips: list[str], val: float, test: float, seed: int
) -> None:
    table = make_table({f"s{i}": labels for i, labels in enumerate(clips)})
    split = split_of(table, val=val, test=test, seed=seed)
    assert len(set(zip(table["signer"], split, strict=True))) == len(clips)
    assert set(split) == {"train", "val", "test"}


@pytest.mark.parametrize("seed", range(4))
def test_a_signer_with_most_clips_stays_in_train(seed: int) -> None:
    table = make_table({"busy": "abcd" * 20, **{f"s{i}": "abcd" for i in range(19)}})
    summary = describe_split(table, split_of(table, val=0.1, test=0.2, seed=seed))
    assert "busy" in summary["train"]["signers"]
    assert len(summary["val"]["signers"]) > 1


def test_rows_keep_their_order_and_the_file_can_be_loaded(tmp_path: Path) -> None:
    table = make_table({f"s{i}": "ab" for i in range(6)}, "color,signer,split,sample,label")
    split = split_of(table, val=0.2, test=0.2, seed=1)
    text = table_text(table, split)
    assert text.startswith(f"sample,split,label,signer,color\ns0_0,{split[0]},a,s0,s0_0.mp4\n")
    (tmp_path / "t.csv").write_text(text)
    loaded = load_samples(TableData(layout="table", table=str(tmp_path / "t.csv")))
    assert [sample.name for sample in loaded.samples] == table["sample"].tolist()
    assert [sample.split for sample in loaded.samples] == split


def test_missing_classes_are_listed() -> None:
    table = make_table({"s0": "x", **dict.fromkeys(("s1", "s2", "s3"), "aaa")})
    summary = describe_split(table, split_of(table, val=0.3, test=0.3, seed=1))
    assert [split["missing_classes"] for split in summary.values()].count(["x"]) == 2


@pytest.mark.parametrize(
    ("val", "test", "seed", "line"),
    [
        (0.5, 0.5, 1, "--val 0.5 --test 0.5: expected shares above 0 that leave some for train"),
        (0, 0.2, 1, "--val 0 --test 0.2"),
        (float("nan"), 0.2, 1, "--val nan"),
        (0.1, 0.2, -1, "--seed -1: expected 0 to 4294967295"),
    ],
)
def test_wrong_flags(val: float, test: float, seed: int, line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        split_of(TEN, val=val, test=test, seed=seed)


def test_too_few_signers_or_labels() -> None:
    table, _ = parse_table("t.csv", f"{HEADER}a,,1,a.mp4\nb,x,2,b.mp4\n".encode())
    with pytest.raises(DataError, match=r"^1 samples have no label, first a;"):
        check_labels(table)
    with pytest.raises(DataError, match=r"^2 signers are left to divide, 3 are needed"):
        split_of(make_table({"a": "xy", "b": "xy"}), val=0.1, test=0.1, seed=1)
    with pytest.raises(DataError, match=r"^4 signers are left to divide, 5 are needed"):
        decoster_dev_split(["x"] * 4, [*"abcd"], [""] * 4)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "expected a header of sample,split,label,signer,color,depth"),
        (HEADER, "no rows below the header"),
        ("sample,label,color\na,x,a.mp4\n", "found 'sample,label,color'"),
        ("sample,label,signer,color,color\na,x,1,a,b\n", "found 'sample,label,signer,color,co"),
        (f"{HEADER}a,x,1\n", "line 2: expected 4 cells, found 3"),
        (f"{HEADER}a,x,1,a\n\na,x,1,a\n", "line 4: sample name 'a' appears twice"),
        (f"{HEADER}a/b,x,1,a\n", r"line 2: sample name 'a/b' appears twice or is not 1 to 128"),
        (f"{HEADER}a,x,,a\n", "line 2: sample a has no signer"),
        (f'{HEADER}a,"x,1,a\n', "not a CSV"),
    ],
)
def test_wrong_tables(text: str, line: str) -> None:
    with pytest.raises(DataError, match=line):
        parse_table("t.csv", text.encode())


def test_byte_order_mark_and_windows_lines() -> None:
    content = f"\ufeff{HEADER}a, x ,1,a.mp4\n".replace("\n", "\r\n").encode()
    table, _ = parse_table("t.csv", content)
    assert table_text(table, ["val"]) == "sample,split,label,signer,color\na,val,x,1,a.mp4\n"
    with pytest.raises(DataError, match="not UTF-8 text"):
        parse_table("t.csv", b"\xff")


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, 10**4), new=st.binary(max_size=4), old=st.integers(0, 4))
def test_a_damaged_table_gives_one_line(place: int, new: bytes, old: int) -> None:
    content = table_text(TEN, ["train"] * len(TEN)).encode()
    at = place % (len(content) + 1)
    message = ""
    try:
        table, _ = parse_table("t.csv", content[:at] + new + content[at + old :])
        split_of(table, val=0.1, test=0.2, seed=1)
    except SlrError as error:
        message = str(error)
    assert refused_character(message) == ""


# --- De Coster's rule ----------------------------------------------------------------------------


def test_five_equal_signers_are_one_fold_each() -> None:
    signers = np.repeat(["a", "b", "c", "d", "e"], 4)
    folds = decoster_folds(np.tile(["x", "x", "y", "z"], 5), signers, folds=5, seed=42)
    assert sorted(folds[::4].tolist()) == [0, 1, 2, 3, 4]
    # random.Random(42) shuffles five things to 3, 1, 2, 4, 0; the first goes to fold 0.
    assert signers[::4][folds[::4] == 0].tolist() == ["d"]


def test_rows_of_test_stay_there() -> None:
    before = ["test"] * 8 + ["val"] * 8 + ["train"] * 64
    split = decoster_dev_split(TEN["label"].tolist(), TEN["signer"].tolist(), before)
    assert split[:8] == ["test"] * 8
    assert Counter(split) == {"test": 8, "val": 16, "train": 56}


@NEEDS_AUTSL
def test_the_split_of_autsl_is_the_published_one() -> None:
    rows = [line.split(",") for line in (SHARED / "autsl" / "train_labels.csv").read_text().split()]
    signers = np.asarray([name.split("_")[0].removeprefix("signer") for name, _ in rows])
    labels = np.asarray([label for _, label in rows])
    folds = decoster_folds(labels, signers, folds=5, seed=42)
    assert np.bincount(folds).tolist() == [5811, 5815, 5986, 5227, 5303]
    assert sorted({int(signer) for signer in signers[folds == 0]}) == [3, 8, 17, 23, 36, 42]
    split = decoster_dev_split(labels.tolist(), signers.tolist(), [""] * len(rows))
    assert Counter(split) == {"train": 22331, "val": 5811}


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abcdefgh")), min_size=8, max_size=80),
    st.integers(2, 5),
)
@example([(int(label), name) for label, name in zip("4004100103", "cddcgddbbe", strict=True)], 5)
@settings(deadline=None)
def test_every_sample_is_in_one_fold_with_its_signer(
    samples: list[tuple[int, str]], folds: int
) -> None:
    labels = [label or None for label, _ in samples]
    signers = [signer for _, signer in samples]
    if len(set(signers)) < folds:
        return
    assigned = signer_folds(labels, signers, folds=folds, seed=3)
    assert set(assigned.tolist()) == set(range(1, folds + 1))
    assert len({*zip(signers, assigned.tolist(), strict=True)}) == len(set(signers))
    assert assigned.tolist() == signer_folds(labels, signers, folds=folds, seed=3).tolist()
