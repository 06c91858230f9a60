"""Logits files of a stream or track; docs/reference/artifacts.md specifies the format."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.container import create_container, open_container
from slr_pipeline.scoring.logits import Logits

FORMAT = "slr-logits"
VERSION = 1


def write_logits(path: str | Path, logits: Logits, provenance: dict[str, Any]) -> None:
    """Write a logits file atomically. ArtifactError for NaN or duplicate names."""
    with create_container(path, read_logits) as (file, _):
        text = h5py.string_dtype("utf-8")
        file.create_dataset("sample", data=list(logits.samples), dtype=text)
        file.create_dataset("values", data=logits.values)
        file.create_dataset("answered", data=logits.answered)
        file.create_dataset("classes", data=list(logits.classes), dtype=text)
        if logits.seeds is not None:
            file.create_dataset("seeds", data=logits.seeds)
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        file.attrs["protocol"] = logits.protocol
        file.attrs["provenance"] = json.dumps(provenance, sort_keys=True)


def read_logits(path: str | Path) -> Logits:
    """Read a logits file. ArtifactError for a foreign, short or damaged one."""
    try:
        with open_container(path) as file:
            actual = (file.attrs.get("format"), file.attrs.get("version"))
            if actual != (FORMAT, VERSION):
                raise ArtifactError(
                    f"{path}: expected {FORMAT} version {VERSION}, found {actual}; "
                    "delete the file and run again"
                )
            logits = Logits(
                samples=tuple(name.decode() for name in file["sample"][:]),
                values=file["values"][:],
                answered=file["answered"][:].astype(bool),
                classes=tuple(name.decode() for name in file["classes"][:]),
                protocol=str(file.attrs["protocol"]),
                reads=_stated_reads(file.attrs["provenance"]),
                seeds=file["seeds"][:] if "seeds" in file else None,
            )
    except (OSError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ArtifactError(
            f"{path}: not a whole logits file ({reason}); delete it and run again, or import the "
            "logits of another program with `slr import-logits`"
        ) from error
    rows = len(logits.samples)
    seeds = logits.values[:, None] if logits.seeds is None else logits.seeds
    if (
        logits.values.shape != (rows, len(logits.classes))
        or logits.answered.shape != (rows,)
        or seeds.shape != (rows, seeds.shape[1], len(logits.classes))
    ):
        raise ArtifactError(f"{path}: names, classes and logits disagree; delete and run again")
    if len(set(logits.samples)) != rows:
        raise ArtifactError(f"{path}: a sample appears twice; delete it and run again")
    if not (np.isfinite(logits.values).all() and np.isfinite(seeds).all()):
        raise ArtifactError(f"{path}: logits have NaN or infinite values; train the stream again")
    return logits


def _stated_reads(provenance: str) -> tuple[str, ...] | None:
    """The features that the provenance of imported logits states; None for other logits."""
    about = json.loads(provenance)
    imported = about.get("imported") if isinstance(about, dict) else None
    return None if imported is None else tuple(map(str, imported["reads"]))
