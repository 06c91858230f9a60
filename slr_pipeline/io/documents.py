"""JSON documents of a run (metrics, sidecars of weights) and the configuration beside them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slr_pipeline.config.experiment import Config, check_config, read_values
from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.atomic import write_text

DETAILS = ("calibration", "macro_recall", "most_confused", "per_signer", "bootstrap_signers")
"""Keys that the metrics of a split must have for a report."""


def write_document(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write JSON atomically."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_document(path: str | Path, what: str) -> dict[str, Any]:
    """Read a JSON object; messages call it `what`. ArtifactError for a missing or foreign file."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"expected a JSON object, found {type(content).__name__}")
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: no {what} ({error}); delete it and run again") from error
    return content


def read_metrics(path: str | Path) -> dict[str, Any]:
    """Read a metrics.json. ArtifactError for a missing file or another version."""
    content = read_document(path, "metrics")
    splits = [content.get(split) for split in ("val", "test")]
    if "protocol" not in content or not all(
        split is None or (isinstance(split, dict) and all(key in split for key in DETAILS))
        for split in splits
    ):
        raise ArtifactError(f"{path}: metrics of another version; delete it and run again")
    return content


def read_run_config(results: Path) -> Config:
    """Read the configuration that a run keeps in its results, wherever they are now.

    ArtifactError if it is missing.
    """
    path = results / "config.yaml"
    if not path.is_file():
        raise ArtifactError(
            f"{path}: no such file; name the results folder of a run (`snakemake submission` "
            "writes this file)"
        )
    return check_config({**read_values(str(path)), "results": str(results)})
