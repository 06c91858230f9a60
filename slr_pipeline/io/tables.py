"""CSV tables of a run. `pandas.read_csv(path)` loads each of them with natural types."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.atomic import atomic_write
from slr_pipeline.text import shown


def write_table(
    path: str | Path, rows: Sequence[Mapping[str, object]], columns: Sequence[str]
) -> None:
    """Write these columns of the rows as CSV with a header, atomically; None is an empty cell."""
    table = pd.DataFrame(rows, columns=list(columns))
    with atomic_write(path) as partial:
        table.to_csv(partial, index=False, lineterminator="\n")


def read_table(
    path: str | Path, types: Mapping[str, type], *, may_be_empty: bool = False
) -> pd.DataFrame:
    """Read a CSV of a run.

    `types` gives the type of each required column (str, int, float, bool); all other columns are
    floats. Empty cells are "" in text and NaN in floats.

    Raises ArtifactError for a missing, cut or foreign file.
    """
    try:
        data = Path(path).read_bytes()
        if not data.endswith(b"\n"):
            raise ValueError("the last line is incomplete")
        header = pd.read_csv(io.BytesIO(data), nrows=0).columns
        if missing := [name for name in types if name not in header]:
            raise ValueError(f"no column {', '.join(missing)}")
        table = pd.read_csv(
            io.BytesIO(data),
            dtype={name: types.get(name, float) for name in header},
            keep_default_na=False,
            na_values={name: [""] for name in header if types.get(name, float) is float},
        )
        if not isinstance(table.index, pd.RangeIndex):  # pandas takes extra cells as an index
            raise ValueError("a row is longer than the header")
        if table[[name for name in types if types[name] is str]].isna().any(axis=None):
            raise ValueError("a row is incomplete")
        if table.empty and not may_be_empty:
            raise ValueError("no rows")
    except (OSError, ValueError, OverflowError) as error:
        reason = shown(str(error)[:200])
        raise ArtifactError(
            f"{path}: cannot be read as a table of this version ({reason}); delete it and run again"
        ) from error
    return table
