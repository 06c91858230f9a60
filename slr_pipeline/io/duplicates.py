"""results/duplicates.csv: a row per sample that is a copy of another one."""

from collections.abc import Iterable
from pathlib import Path
from typing import get_type_hints

from slr_pipeline.io.tables import read_table, write_table
from slr_pipeline.samples.duplicates import Duplicate


def write_duplicates(path: str | Path, rows: Iterable[Duplicate]) -> None:
    """Write the rows as CSV with a header."""
    write_table(path, [row._asdict() for row in rows], Duplicate._fields)


def read_duplicates(path: str | Path) -> list[Duplicate]:
    """Read such a CSV, maybe without rows. ArtifactError for a missing, cut or foreign file."""
    table = read_table(path, get_type_hints(Duplicate), may_be_empty=True)
    rows = table[list(Duplicate._fields)].itertuples(index=False, name=None)
    return [Duplicate(*row) for row in rows]
