"""Tables of keypoint quality: one CSV per split with a row per sample and why it is quarantined."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from slr_pipeline.io.tables import read_table


def read_quality(path: str | Path) -> pd.DataFrame:
    """Read such a CSV: text `sample` and `reason`, numbers in all other columns, NaN if unknown.

    Raises ArtifactError for a missing, cut or foreign file.
    """
    return read_table(path, {"sample": str, "reason": str})


def read_quarantined(paths: Iterable[str | Path]) -> frozenset[str]:
    """Samples that have a reason in one of these CSVs. ArtifactError as in `read_quality`."""
    tables = [read_quality(path) for path in paths]
    return frozenset(name for t in tables for name in t.loc[t["reason"] != "", "sample"])
