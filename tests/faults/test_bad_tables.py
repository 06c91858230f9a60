"""Unusual or wrong sample tables work, or one line says what to do.

Duplicate names, unknown labels and splits, empty splits and bad paths: tests/samples/test_table.py.
"""

import csv
import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from slr_pipeline.cli.check import describe
from slr_pipeline.config.experiment import Config, DataSettings, TableData, check_config
from slr_pipeline.config.flags import parse_setting
from slr_pipeline.errors import ConfigError, DataError
from slr_pipeline.io.documents import read_metrics
from slr_pipeline.io.logits import write_logits
from slr_pipeline.samples.requirements import check_streams
from slr_pipeline.samples.split_table import parse_table
from slr_pipeline.samples.table import SampleTable, load_samples
from slr_pipeline.scoring.logits import Logits
from slr_pipeline.steps.evaluate import evaluate
from tests.shared_data import CASES, NEEDS_CASES, SHARED
from tests.test_text import KEPT

ROOT = Path(__file__).parents[2]
COLUMNS = ("sample", "split", "label", "signer", "color")
Row = tuple[str, str, str, str]


def load(folder: Path, rows: list[Row], *, classes: str | None = None, **data: Any) -> SampleTable:
    """Load a table of rows (name, split, label, signer)."""
    path = folder / "samples.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *((*row, f"{row[0]}.mp4") for row in rows)])
    if classes is not None:
        (folder / "classes.txt").write_text(classes, encoding="utf-8")
        data["classes"] = str(folder / "classes.txt")
    return load_samples(TableData(layout="table", table=str(path), **data))


def refusal(folder: Path, rows: list[Row], **data: Any) -> str:
    with pytest.raises(DataError) as caught:
        load(folder, rows, **data)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert line.startswith(str(folder))
    return line


def config_of(folder: Path, **changes: Any) -> Config:
    return check_config(
        {
            "name": "small",
            "data": {"layout": "table", "table": str(folder / "samples.csv")},
            "streams": {"joint": {"model": "slgcn"}},
            "tracks": {"rgb": {"streams": {"joint": 1.0}}},
            **changes,
        }
    )


def description(folder: Path) -> str:
    """What `slr check` prints of the table."""
    config = config_of(folder)
    return describe(config, load_samples(config.data))


GOOD: list[Row] = [
    *(("a", "train", "yes", "1"), ("b", "train", "no", "2")),
    *(("c", "val", "yes", "3"), ("d", "test", "no", "4")),
]


# --- signers --------------------------------------------------------------------------------------


def test_a_signer_in_two_splits_is_named_with_the_way_out(tmp_path: Path) -> None:
    rows: list[Row] = [*GOOD, ("e", "test", "yes", "Ayşe"), ("f", "train", "no", "Ayşe")]
    line = refusal(tmp_path, rows)
    assert "1 of 5 signers are in more than one split, first 'Ayşe' in train and test" in line
    assert "set data.signer_independent to false" in line
    assert "`slr make-split`" in line
    assert len(load(tmp_path, rows, signer_independent=False).samples) == 6


def test_unknown_signers_pass_and_slr_check_says_so(tmp_path: Path) -> None:
    assert {s.signer for s in load(tmp_path, [(*row[:3], "") for row in GOOD]).samples} == {None}
    lines = description(tmp_path).splitlines()
    warning = (
        "  warning: The accuracy says nothing about new signers: the signers of all samples are"
    )
    assert any(line.startswith(warning) for line in lines)


def test_one_signer_is_refused_or_evaluated_without_signers(tmp_path: Path) -> None:
    rows: list[Row] = [(name, split, label, "me") for name, split, label, _ in GOOD]
    assert "1 of 1 signers" in refusal(tmp_path, rows)
    load(tmp_path, rows, signer_independent=False)
    data = {"layout": "table", "table": str(tmp_path / "samples.csv"), "signer_independent": False}
    files = {}
    for split, name in (("val", "c"), ("test", "d")):
        logits = Logits(
            (name,), np.eye(2, dtype=np.float32)[:1], np.ones(1, bool), ("no", "yes"), "strict"
        )
        files[split] = str(tmp_path / f"{split}.h5")
        write_logits(files[split], logits, {})
    settings = parse_setting(DataSettings, json.dumps(data), "data")
    evaluate(settings, 1, list(files), list(files.values()), str(tmp_path / "metrics.json"))
    metrics = read_metrics(tmp_path / "metrics.json")
    assert metrics["test"]["top1"] == 1.0
    assert metrics["test"]["bootstrap_signers"] is None


def test_one_signer_in_two_normal_forms_is_one(tmp_path: Path) -> None:
    form = unicodedata.normalize
    rows: list[Row] = [*GOOD, ("e", "test", "yes", form("NFD", "Gülşen"))]
    rows.append(("f", "train", "no", form("NFC", "Gülşen")))
    assert "signers are in more than one split" in refusal(tmp_path, rows)
    table, _ = parse_table("x", (tmp_path / "samples.csv").read_bytes())
    assert table["signer"].nunique() == 5


@NEEDS_CASES
def test_reported_signers_that_look_alike_are_one_person() -> None:
    table = str(CASES / "names/samples_lookalike_signers.csv")
    with pytest.raises(DataError) as caught:
        load_samples(TableData(layout="table", table=table))
    shared, alike = str(caught.value).splitlines()
    assert "1 of 2 signers are in more than one split, first 'Ben Ali' in train and test" in shared
    assert "signers 'Ben Ali' and 'ben ali' look alike and count as one person" in alike


@pytest.mark.parametrize(
    ("one", "other", "names"),
    [
        ("Ben Ali", "Ben\u00a0 Ali", None),
        ("Zoë", "Zoe\u0308\u200b", None),
        ("Ayşe", "AYŞE", "'AYŞE' and 'Ayşe'"),
        ("Anna", "\u0410nna", r"'Anna' and '\u0410nna'"),
        ("میخواهم", "می\u200cخواهم", r"\u200c"),
    ],
)
def test_a_signer_in_two_spellings_is_in_two_splits(
    tmp_path: Path, one: str, other: str, names: str | None
) -> None:
    rows: list[Row] = [*GOOD, ("e", "train", "yes", one), ("f", "test", "no", other)]
    with pytest.raises(DataError) as caught:
        load(tmp_path, rows)
    shared, *alike = str(caught.value).splitlines()
    assert "1 of 5 signers are in more than one split" in shared
    assert len(alike) == (names is not None)
    assert names is None or names in alike[0]
    split, warnings = parse_table("x", (tmp_path / "samples.csv").read_bytes())
    assert split["signer"].nunique() == 5
    assert len(warnings) == (names is not None)


@pytest.mark.parametrize("path", sorted([ROOT / "config.yaml", *ROOT.glob("config/*.yaml")]))
def test_shipped_configs_fit_their_data(path: Path) -> None:
    """What is here of it: the demo, and WLASL where it is shared."""
    config = check_config(yaml.safe_load(path.read_text()))
    data = config.data
    if isinstance(data, TableData):
        name = Path(data.table).parts[1]
        data = data.model_copy(update={"table": str(SHARED / name / "samples.csv")})
        place = Path(data.table)
    else:
        data = data.model_copy(update={"root": str(ROOT / data.root)})
        place = Path(data.root)
    if not place.exists():
        pytest.skip(f"{place} is not here")
    table = load_samples(data)
    signers = [{s.signer for s in table.split(split)} for split in ("train", "val", "test")]
    alone = sum(map(len, signers)) == len(set.union(*signers))
    assert alone == data.signer_independent  # false where it need not be hides a mistake


# --- classes --------------------------------------------------------------------------------------


def test_a_class_without_a_sample_to_learn_from_is_named_before_anything_runs(
    tmp_path: Path,
) -> None:
    table = load(tmp_path, [*GOOD, ("e", "test", "maybe", "4")])
    with pytest.raises(ConfigError) as caught:
        check_streams(config_of(tmp_path), table)
    assert str(caught.value).startswith(
        "1 of 3 classes have no sample in train and cannot be learnt: 'maybe'; add samples"
    )
    table = load(tmp_path, GOOD, classes="yes\nno\nmaybe\nç\n")
    with pytest.raises(ConfigError, match=r"2 of 4 classes have no sample in train .*'maybe', 'ç'"):
        check_streams(config_of(tmp_path), table)
    check_streams(config_of(tmp_path), load(tmp_path, GOOD))


def test_one_class_is_nothing_to_tell_apart(tmp_path: Path) -> None:
    rows: list[Row] = [(name, split, "yes", signer) for name, split, _, signer in GOOD]
    assert "expected two classes or more, found ['yes']" in refusal(tmp_path, rows)


@pytest.mark.parametrize("label", ["100000", "9" * 30, "9" * 5000, "0" * 5000])
def test_a_number_that_would_be_a_million_classes_is_refused(tmp_path: Path, label: str) -> None:
    rows: list[Row] = [(name, split, "1", signer) for name, split, _, signer in GOOD]
    line = refusal(tmp_path, [*rows, ("e", "train", label, "1")])
    assert "would be one of more than 100000 classes" in line
    assert len(line) < 300 + len(str(tmp_path))


def numbered(rows: list[Row], labels: dict[str, str]) -> list[Row]:
    return [(name, split, labels[label], signer) for name, split, label, signer in rows]


@pytest.mark.parametrize(
    ("labels", "line"),
    [
        ({"yes": "1", "no": "2"}, "the numbers 1 to 2, and classes count from 0; subtract 1 from"),
        ({"yes": "0", "no": "3"}, "2 of the numbers 0 to 3, and no sample has the label 1; renumb"),
        ({"yes": "10", "no": "20"}, "no sample has the label 0; renumber them from 0 to 1 without"),
    ],
)
def test_numbers_that_do_not_count_from_0_are_named(
    tmp_path: Path, labels: dict[str, str], line: str
) -> None:
    table = load(tmp_path, numbered(GOOD, labels))
    with pytest.raises(ConfigError, match=line) as caught:
        check_streams(config_of(tmp_path), table)
    assert str(caught.value).startswith(f"{tmp_path}/samples.csv: the labels are ")
    padded = load(tmp_path, numbered(GOOD, {"yes": "00", "no": "01"}))
    assert padded.classes == ("0", "1")
    check_streams(config_of(tmp_path), padded)


@NEEDS_CASES
def test_reported_labels_from_1_are_named() -> None:
    data = {"layout": "table", "table": str(CASES / "names/samples_labels_from_1.csv")}
    config = config_of(Path(), data=data)
    with pytest.raises(ConfigError, match="the labels are the numbers 1 to 64, and classes count"):
        check_streams(config, load_samples(config.data))


# --- what spreadsheets do -------------------------------------------------------------------------


@pytest.mark.parametrize("separator", ",;\t")
@pytest.mark.parametrize("end", ["", "{0}{0}"])
def test_a_table_of_a_spreadsheet_is_read(tmp_path: Path, separator: str, end: str) -> None:
    """Separated by semicolons or tabs, and with empty cells at the end of each row."""
    plain = load(tmp_path, GOOD)
    text = (tmp_path / "samples.csv").read_text(encoding="utf-8").replace("\r\n", "\n")
    lines = [f"{line}{end}".format(",").replace(",", separator) for line in text.splitlines()]
    (tmp_path / "samples.csv").write_text("\r\n".join(lines), encoding="utf-8-sig", newline="")
    data = TableData(layout="table", table=str(tmp_path / "samples.csv"))
    assert load_samples(data) == plain
    assert len(parse_table("x", (tmp_path / "samples.csv").read_bytes())[0]) == len(GOOD)


@NEEDS_CASES
def test_reported_table_of_a_german_spreadsheet_is_read_and_lost_zeros_are_named() -> None:
    data = TableData(layout="table", table=str(CASES / "names/samples_saved_by_excel_de.csv"))
    table = load_samples(data)
    assert table.classes == ("book", "drink")
    (warning,) = table.warnings
    assert warning.startswith("20 samples have the number of their video without its leading zeros")
    assert "first 335 of 00335.mp4: spreadsheets remove these zeros; " in warning


def test_names_without_the_zeros_of_their_videos_are_named_by_slr_check(tmp_path: Path) -> None:
    lines = ["sample,split,label,color", "7,train,yes,v/007_color.mp4", "8,train,no,v/08.mp4"]
    lines += ["9,val,yes,9.mp4", "1,test,yes,010.mp4", "01,test,no,01.mp4"]
    (tmp_path / "samples.csv").write_text("\n".join(lines))
    text = description(tmp_path)
    assert "  warning: 2 samples have the number of their video without its leading zeros, " in text
    assert "first 7 of 007_color.mp4: spreadsheets" in text


@pytest.mark.parametrize(
    "date", ["01-Feb", "1. Mrz", "Mar-01", "1/3/2024", "01.03.24", "2024-03-01", "2-Şub", "1-janv."]
)
def test_dates_that_were_names_are_named_by_slr_check(tmp_path: Path, date: str) -> None:
    """Spreadsheets take 1-2, 1/3 or MAR1 for dates."""
    labels = {"yes": date, "no": "MAR-1"}
    table = load(tmp_path, [(name, split, labels[label], s) for name, split, label, s in GOOD])
    (warning,) = table.warnings
    assert warning.startswith(f"1 labels are dates, first {date!r}: spreadsheets turn names")
    assert f"  warning: {warning}" in description(tmp_path)
    (warning,) = load(tmp_path, [("01-Feb", *GOOD[0][1:]), *GOOD[1:]]).warnings
    assert warning.startswith("1 sample names are dates, first '01-Feb': ")


# --- text -----------------------------------------------------------------------------------------


def test_a_gloss_in_two_normal_forms_is_one_class(tmp_path: Path) -> None:
    form = unicodedata.normalize
    glosses = ["ağaç", "İyi", "ıhlamur", "çığ"]
    rows: list[Row] = []
    for number, (gloss, other) in enumerate(zip(glosses, reversed(glosses), strict=True)):
        rows.append((f"a{number}", "train", form("NFC", gloss), "1"))
        rows.append((f"b{number}", "val", form("NFD", gloss), "2"))
        rows.append((f"c{number}", "test", form("NFD", other), "3"))
    table = load(tmp_path, rows)
    assert table.classes == tuple(sorted(form("NFC", gloss) for gloss in glosses))
    listed = "\n".join(form("NFD", gloss) for gloss in glosses)
    assert load(tmp_path, rows, classes=listed).classes == tuple(glosses)
    assert "repeated: ['ağaç']" in refusal(tmp_path, rows, classes=listed + "\nağaç\n")


@pytest.mark.parametrize("other", ["iyi\u00a0günler", "iyi  günler", "iyi gu\u0308nler\u200b"])
def test_glosses_that_are_surely_the_same_are_one_class(tmp_path: Path, other: str) -> None:
    rows: list[Row] = [*GOOD, ("e", "train", "iyi günler", "1"), ("f", "test", other, "4")]
    table = load(tmp_path, rows)
    assert table.classes == ("iyi günler", "no", "yes")
    assert table.warnings == ()
    listed = load(tmp_path, rows, classes=f"yes\nno\n{other}\n")
    assert [sample.label for sample in listed.samples[-2:]] == [2, 2]
    assert load(tmp_path, [*GOOD, ("e", "train", "手\u3000話", "1")]).classes[-1] == "手\u3000話"


def test_glosses_that_only_look_the_same_are_named_by_slr_check(tmp_path: Path) -> None:
    rows: list[Row] = [*GOOD, ("e", "train", "Yes", "1"), ("f", "train", "n\u043e", "1")]
    assert len(load(tmp_path, rows).classes) == 4
    text = description(tmp_path)
    assert "  warning: labels 'Yes' and 'yes' look alike and are different signs; " in text
    assert r"  warning: labels 'no' and 'n\u043e' look alike and are different signs; " in text
    line = refusal(tmp_path, rows, classes="yes\nno\n")
    assert "label 'Yes' is not a class, but 'yes' is; use one spelling" in line


def test_i_with_and_without_dot_are_four_letters(tmp_path: Path) -> None:
    rows: list[Row] = [(f"a{n}", "train", gloss, "1") for n, gloss in enumerate("Iıİi")]
    table = load(tmp_path, [*rows, ("v", "val", "ı", "2"), ("t", "test", "İ", "3")])
    assert set(table.classes) == set("Iıİi")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_end_of_line_and_a_byte_order_mark(tmp_path: Path, end: str, mark: str) -> None:
    plain = load(tmp_path, GOOD)
    text = (tmp_path / "samples.csv").read_text(encoding="utf-8").replace("\r\n", "\n")
    lines = [*text.splitlines(), "", "  "]  # blank lines at the end, too
    (tmp_path / "samples.csv").write_bytes((mark + end.join(lines)).encode())
    data = TableData(layout="table", table=str(tmp_path / "samples.csv"))
    assert load_samples(data) == plain


@pytest.mark.parametrize(
    ("cell", "bad"),
    [
        *[(0, "a\nb"), (2, "yes\x1b[2J"), (2, "a\u2028b"), (3, "1\x002"), (2, "yes\x85no")],
        *[(2, "\u202eon"), (3, "\u2067Ben")],
    ],
)
def test_control_characters_are_refused_in_one_line(tmp_path: Path, cell: int, bad: str) -> None:
    row = ["e", "train", "yes", "1"]
    row[cell] = bad
    line = refusal(tmp_path, [*GOOD, (row[0], row[1], row[2], row[3])])
    assert "a line break or control character in" in line
    assert line.isprintable()


def test_letters_and_blanks_of_scripts_are_kept(tmp_path: Path) -> None:
    glosses = [text for name, text in KEPT.items() if "WhatsApp" not in name]
    rows: list[Row] = [(f"a{n}", "train", gloss, gloss) for n, gloss in enumerate(glosses)]
    table = load(tmp_path, [*rows, *GOOD])
    assert set(table.classes) == {"yes", "no", *glosses}
    assert [sample.signer for sample in table.samples[: len(rows)]] == glosses
