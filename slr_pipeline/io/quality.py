"""How well the keypoints of a split were found: one CSV of all samples, with those left out."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.whole import write_text


def write_quality(path: str | Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write the rows as CSV with a header; all have the same columns, `sample` and `reason` too."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def read_quarantined(paths: Iterable[str | Path]) -> frozenset[str]:
    """The samples of such CSVs that have a reason. ArtifactError for a missing or foreign file."""
    found: set[str] = set()
    for path in paths:
        try:
            with Path(path).open(encoding="utf-8", newline="") as file:
                rows = csv.DictReader(file, strict=True)
                found.update(row["sample"] for row in rows if row["reason"])
        except (OSError, KeyError, ValueError, csv.Error) as error:
            raise ArtifactError(
                f"{path}: not a quality table ({error}); delete it and run again"
            ) from error
    return frozenset(found)
