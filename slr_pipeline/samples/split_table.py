"""Sample tables that `slr make-split` reads and writes, as data frames of text."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from slr_pipeline.config.experiment import SPLITS, Split
from slr_pipeline.errors import DataError
from slr_pipeline.samples.csv_rows import csv_table, decode
from slr_pipeline.samples.spelling import one_spelling, spelling_warnings
from slr_pipeline.samples.table import SAMPLE_NAME, TABLE_COLUMNS
from slr_pipeline.text import composed, outline, plain

REQUIRED = ("sample", "label", "signer", "color")


def parse_table(where: str, content: bytes) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The cells of a sample table as text, by column, and what looks alike in it.

    A missing column is empty. Labels and signers have one spelling each.

    DataError with the line for another header, a row of another length, a wrong or repeated name,
    and a row without signer.
    """
    cells = dict(csv_table(where, decode(where, content), TABLE_COLUMNS, REQUIRED))
    table = pd.DataFrame.from_dict(cells, orient="index", columns=TABLE_COLUMNS, dtype=object)
    for column in ("label", "signer"):
        table[column] = [composed(text) if plain(text) else "" for text in table[column]]
    warnings = spelling_warnings(set(table["label"]), set(table["signer"]))
    for column, key in (("label", plain), ("signer", outline)):
        table[column] = table[column].map(one_spelling(table[column], key))
    _check(where, table)
    return table, warnings


def _check(where: str, table: pd.DataFrame) -> None:
    names, unsigned = table["sample"], table["signer"] == ""
    wrong = names.duplicated() | ~names.map(lambda name: bool(SAMPLE_NAME.fullmatch(name)))
    if wrong.any():
        line = wrong.idxmax()  # the index is the line
        raise DataError(
            f"{where}, line {line}: sample name {names[line][:140]!a} appears twice or is not 1 to "
            "128 letters, digits, '.', '_' or '-'; give each sample its own"
        )
    if unsigned.any():
        line = unsigned.idxmax()
        raise DataError(
            f"{where}, line {line}: sample {names[line]} has no signer; add it, so that no signer "
            "is in two splits"
        )


def check_labels(table: pd.DataFrame) -> None:
    """DataError for samples without label, which cannot be stratified."""
    without = table.loc[table["label"] == "", "sample"]
    if len(without):
        raise DataError(
            f"{len(without)} samples have no label, first {without.iloc[0]}; a stratified "
            "split needs the label of each"
        )


def table_text(table: pd.DataFrame, split: Sequence[Split]) -> str:
    """The table with its split as CSV with LF, rows in their order, without empty columns."""
    table = table.assign(split=split)
    columns = [name for name in TABLE_COLUMNS if name in REQUIRED or any(table[name])]
    text: str = table[columns].to_csv(index=False, lineterminator="\n")
    return text


def describe_split(table: pd.DataFrame, split: Sequence[Split]) -> dict[str, dict[str, Any]]:
    """For each split: number of samples, signers, and classes without a sample."""
    classes = set(table["label"]) - {""}
    summary: dict[str, dict[str, Any]] = {}
    for name in SPLITS:
        rows = table[[own == name for own in split]]
        summary[name] = {
            "samples": len(rows),
            "signers": sorted(set(rows["signer"])),
            "missing_classes": sorted(classes - set(rows["label"])),
        }
    return summary
