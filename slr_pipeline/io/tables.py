"""JSON and CSV files of a run, with a checksum of their content in them, written and read."""

import csv
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slr_pipeline.config.experiment import Config, read_config
from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.atomic import write_text

DETAILS = ("calibration", "macro_recall", "most_confused", "per_signer", "bootstrap_signers")
"""What metrics say of a split, beside its accuracy, since they say more than accuracy."""

CHECK = "check"
"""Key, and last column, of the CRC-32 of all else."""


def write_document(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write JSON, whole or not at all, with its check."""
    whole = {**content, CHECK: _sum_of(json.loads(json.dumps(content)))}
    write_text(path, json.dumps(whole, indent=2, ensure_ascii=False) + "\n")


def read_document(path: str | Path, what: str) -> dict[str, Any]:
    """What was written, without the check; `what` it is is for messages.

    ArtifactError for a missing, foreign or changed file.
    """
    try:
        content = {**json.loads(Path(path).read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ArtifactError(f"{path}: no {what} ({error}); delete it and run again") from error
    if content.pop(CHECK, None) != _sum_of(content):
        raise _changed(path, what)
    return content


def read_run_config(results: Path) -> Config:
    """The configuration that a run keeps beside its results; ArtifactError where it does not."""
    path = results / "config.yaml"
    if not path.is_file():
        raise ArtifactError(
            f"{path} is not there; name the folder of a run's results (`snakemake submission` "
            "writes that file)"
        )
    return read_config(str(path))


def read_metrics(path: str | Path) -> dict[str, Any]:
    """A metrics.json. ArtifactError for a missing or foreign file, or one of an older package."""
    content = read_document(path, "metrics")
    splits = [content.get(split) for split in ("val", "test")]
    if "protocol" not in content or not all(
        split is None or (isinstance(split, dict) and all(key in split for key in DETAILS))
        for split in splits
    ):
        raise ArtifactError(f"{path}: metrics of another version; delete it and run again")
    return content


def write_table(
    path: str | Path, rows: Sequence[Mapping[str, object]], columns: Sequence[str]
) -> None:
    """Write these columns of the rows as CSV with a header, whole or not at all, with its check."""
    cells = [list(columns), *([_cell(row[column]) for column in columns] for row in rows)]
    check = _sum_of(cells)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, CHECK])
    writer.writerows([*row, check] for row in cells[1:])
    write_text(path, text.getvalue())


def read_table(path: str | Path, *, may_be_empty: bool = False) -> list[dict[str, str]]:
    """The rows that were written. ArtifactError for a missing, foreign or changed file."""
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file, strict=True)
    except (OSError, ValueError, csv.Error) as error:
        raise ArtifactError(f"{path}: no table ({error}); delete it and run again") from error
    cells = [row[:-1] for row in (header, *rows)]
    check = _sum_of(cells)
    whole = header[-1:] == [CHECK] and all(row[-1:] == [check] for row in rows)
    if not whole or not (rows or may_be_empty):
        raise _changed(path, "table")
    return [dict(zip(header, row, strict=False)) for row in cells[1:]]


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _sum_of(content: object) -> str:
    """The same for the same content, whatever the order of its keys."""
    return f"{zlib.crc32(json.dumps(content, sort_keys=True).encode()):08x}"


def _changed(path: str | Path, what: str) -> ArtifactError:
    return ArtifactError(
        f"{path}: not the {what} that was written (cut short, changed since, or of another "
        "version); delete it and run again"
    )
