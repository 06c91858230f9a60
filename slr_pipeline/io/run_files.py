"""What a run leaves beside its artifacts, read: metrics and tables."""

import csv
import json
from pathlib import Path
from typing import Any

from slr_pipeline.errors import ArtifactError

DETAILS = ("calibration", "macro_recall", "most_confused", "per_signer", "bootstrap_signers")
"""What metrics say of a split, beside its accuracy, since they say more than accuracy."""


def read_metrics(path: str | Path) -> dict[str, Any]:
    """A metrics.json. ArtifactError for a missing or foreign file, or one of an older package."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        splits = [content[split] for split in ("val", "test") if content.get(split) is not None]
        whole = "protocol" in content and all(key in s for s in splits for key in DETAILS)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path}: no metrics ({error}); delete it and run again") from error
    if not whole:
        raise ArtifactError(f"{path}: metrics of another version; delete it and run again")
    return dict(content)


def read_table(path: str | Path) -> list[dict[str, str]]:
    """Rows of a CSV with a header. ArtifactError for a missing or foreign file."""
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise ArtifactError(f"{path}: not a table ({error}); delete it and run again") from error
    for row in rows:
        if None in row or None in row.values():
            raise ArtifactError(f"{path}: a row of another length; delete it and run again")
    return rows
