"""How well the keypoints of a split were found: one CSV of all samples, with those left out."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.tables import read_table, write_table


def write_quality(path: str | Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write the rows as CSV with a header; all have the same columns, `sample` and `reason` too."""
    write_table(path, rows, list(rows[0]))


def read_quarantined(paths: Iterable[str | Path]) -> frozenset[str]:
    """The samples of such CSVs that have a reason. ArtifactError for a missing or foreign file."""
    found: set[str] = set()
    for path in paths:
        try:
            found.update(row["sample"] for row in read_table(path) if row["reason"])
        except KeyError as error:
            raise ArtifactError(
                f"{path}: not a quality table (no column {error}); delete it and run again"
            ) from error
    return frozenset(found)
