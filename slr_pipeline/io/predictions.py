"""Answers of a track in glosses: one CSV with a row per clip of test and val."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from slr_pipeline.io.tables import read_table, write_table

COLUMNS: dict[str, type] = {
    "sample": str,
    "split": str,
    "signer": str,
    "gloss": str,
    "answer": str,
    "correct": str,
    "probability": float,
    "accepted": bool,
    "second": str,
    "second_probability": float,
    "answered_by": str,
}


def write_answers(path: str | Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write a row per clip, atomically; None is an empty cell."""
    write_table(path, rows, list(COLUMNS))


def read_answers(path: str | Path) -> pd.DataFrame:
    """Read such a CSV; unknown text is empty, `correct` is True, False or "".

    Raises ArtifactError for a missing, cut or foreign file.
    """
    table = read_table(path, COLUMNS)
    correct = table["correct"].map({"True": True, "False": False, "": ""})
    return table.assign(correct=correct)
