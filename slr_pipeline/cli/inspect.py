"""Show what a file of a run contains: features, logits, weights, a table or a document."""

import argparse
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slr_pipeline.errors import ArtifactError, DataError
from slr_pipeline.io.messages import first_few
from slr_pipeline.text import shown

if TYPE_CHECKING:
    import h5py
    import pandas as pd
    from torch import Tensor

MAX_LISTED = 8
MAX_LETTERS = 100
HASH_DIGITS = 12

Facts = dict[str, str]
"""The printed lines: name and value."""


def flags(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("file", type=Path, help=".h5, .safetensors, .csv or .json")


def main(arguments: argparse.Namespace) -> None:
    """Print some ten lines of facts, after checking every byte of HDF5 files and weights."""
    path: Path = arguments.file
    if not path.is_file():
        raise ArtifactError(f"{path}: there is no such file; check the path")
    kinds = {
        ".h5": hdf5_facts,
        ".safetensors": weights_facts,
        ".csv": table_facts,
        ".json": document_facts,
    }
    if path.suffix not in kinds:
        raise ArtifactError(f"{path}: expected a file that ends in {', '.join(kinds)}")
    checked = ", complete" if path.suffix in (".h5", ".safetensors") else ""
    facts = {**kinds[path.suffix](path), "size": f"{path.stat().st_size:,} bytes{checked}"}
    width = max(map(len, facts))
    for name, value in facts.items():
        print(shown(f"{name:<{width}}  {value}"))


def hdf5_facts(path: Path) -> Facts:
    """Facts about a file of features or logits. ArtifactError for any other or a damaged one."""
    from slr_pipeline.io import features, logits
    from slr_pipeline.io.container import check_container, open_container

    try:
        check_container(path)
        with open_container(path) as file:
            format_name = str(file.attrs.get("format"))
            if format_name == features.FORMAT:
                return feature_facts(path, file)
            if format_name == logits.FORMAT:
                return logits_facts(path, file)
    except OSError as error:
        raise ArtifactError(
            f"{path}: not a complete file of this version ({error}); if it belongs to a run, "
            "delete it and run again"
        ) from error
    raise ArtifactError(
        f"{path}: format is {format_name!r}, expected {features.FORMAT} or {logits.FORMAT}; open "
        "it with the program that wrote it"
    )


def feature_facts(path: Path, file: "h5py.File") -> Facts:
    """Facts about a file of features."""
    import numpy as np

    from slr_pipeline.io.features import ESTIMATOR, FORMAT, FeatureFile
    from slr_pipeline.schema import FEATURES

    feature = str(file.attrs.get("feature"))
    index = FeatureFile(path, feature)
    attributes, frames = index.attributes, np.diff(index.offset)
    present = frames[frames > 0]
    lengths = f"; {present.min()} to {present.max()} per sample" if len(present) else ""
    sizes = sorted({f"{width} x {height}" for width, height in index.size[frames > 0].tolist()})
    rates = sorted({f"{rate:g}" for rate in index.fps[frames > 0].tolist()})
    shown = {"format", "feature", "version", "dims", "units", "provenance", *ESTIMATOR}
    others = {name: value for name, value in sorted(attributes.items()) if name not in shown}
    meaning = f"({', '.join(FEATURES[feature].dims)}): {attributes['units']}"
    if FEATURES[feature].pictures:
        meaning = f"JPEGs of {FEATURES[feature].shape} per frame, {meaning}"
    return {
        "format": f"{FORMAT}, version {attributes['version']}: {feature}",
        "samples": f"{len(frames)}, {int((frames == 0).sum())} of them quarantined",
        "frames": f"{index.offset[-1]}{lengths}",
        "values": f"{_shape(file['values'])}, {meaning}",
        "arrays": ", ".join(f"{name} {_shape(file[name])}" for name in file if name != "values"),
        "videos": f"{first_few(sizes, most=MAX_LISTED)} px, "
        f"{first_few(rates, most=MAX_LISTED)} frames per second",
        "estimator": _estimator(attributes),
        "attributes": ", ".join(f"{name} {value}" for name, value in others.items()) or "none",
        **_origin(str(attributes["provenance"])),
    }


def logits_facts(path: Path, file: "h5py.File") -> Facts:
    """Facts about a file of logits."""
    from slr_pipeline.io.logits import FORMAT, VERSION, read_logits

    values = read_logits(path)
    return {
        "format": f"{FORMAT}, version {VERSION}",
        "protocol": values.protocol,
        "samples": f"{len(values.samples)}, {int((~values.answered).sum())} of them not answered",
        "classes": f"{len(values.classes)}: {first_few(values.classes, most=MAX_LISTED)}",
        "values": f"{_shape(file['values'])}, raw logits",
        **_origin(str(file.attrs["provenance"])),
    }


def weights_facts(path: Path) -> Facts:
    """Facts about a trained model with its sidecar, or about imported weights."""
    from slr_pipeline.io import models

    if not path.with_suffix(".json").exists():
        state, header = models.load_weights(path)
        return {**header, "weights": _count(state)}
    state, about = models.load_model(path)
    stream, metrics = about["stream"], about["metrics"]
    recipe = {name: value for name, value in stream["training"].items() if value is not None}
    settings = {name: stream[name] for name in stream if name not in ("training", "finetune")}
    return {
        "format": f"{about['format']}, version {about['version']}: {stream['model']}",
        "weights": _count(state),
        "classes": f"{len(about['classes'])}: {first_few(about['classes'], most=MAX_LISTED)}",
        "trained": f"phase {about['phase']}, protocol {about['protocol']}, seed {about['seed']}",
        "epoch": f"{about['epoch']}: "
        + ", ".join(f"{name} {value:.4g}" for name, value in metrics.items() if name != "epoch"),
        "estimator": _estimator(about["estimator"]),
        "settings": json.dumps(settings),
        "training": json.dumps(recipe),
        "package": about["provenance"]["package"],
    }


def table_facts(path: Path) -> Facts:
    """Facts about a CSV table; one without a header is a submission."""
    import pandas as pd

    from slr_pipeline.io.submission import read_template

    try:
        with suppress(DataError):
            rows = len(read_template(path))
            return {"format": "submission: name,label without a header", "rows": f"{rows}"}
        table = pd.read_csv(path)
        first = pd.read_csv(path, nrows=2, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"{path}: not a CSV table ({shown(str(error)[:200])}); check the file"
        ) from error
    empty = table.isna().sum()
    columns = [f"{name} ({_kind(table[name])})" for name in table.columns]
    return {
        "format": "table (CSV)",
        "rows": f"{len(table)}",
        "columns": ", ".join(columns),
        "empty cells": ", ".join(f"{name} {n}" for name, n in empty.items() if n) or "none",
        **{f"row {n + 1}": ", ".join(row) for n, row in enumerate(first.to_numpy().tolist())},
    }


def document_facts(path: Path) -> Facts:
    """The first level of a JSON document, each value in at most a line."""
    from slr_pipeline.io.documents import read_document

    return {
        name: text if len(text) <= MAX_LETTERS else f"{text[:MAX_LETTERS]}..."
        for name, value in read_document(path, "JSON object").items()
        if (text := json.dumps(value, ensure_ascii=False))
    }


def _kind(column: "pd.Series[Any]") -> str:
    return {"i": "whole numbers", "f": "numbers", "b": "true or false"}.get(
        column.dtype.kind, "text"
    )


def _origin(provenance: str) -> Facts:
    """Package and settings that made a file, without the digests of its inputs."""
    about: dict[str, Any] = json.loads(provenance)
    package = str(about.pop("package", "unknown"))
    about.pop("inputs", None)
    return {"settings": json.dumps(about.get("settings", about)), "package": package}


def _estimator(attributes: Mapping[str, Any]) -> str:
    """The estimator of the keypoints that a file depends on."""
    weights = str(attributes.get("weights_sha256", "unknown"))[:HASH_DIGITS]
    return f"{attributes.get('estimator', 'unknown')}, weights {weights}"


def _shape(data: "h5py.Dataset") -> str:
    kind = "str" if data.dtype.kind == "O" else str(data.dtype)
    return f"({', '.join(map(str, data.shape))}) {kind}"


def _count(state: Mapping[str, "Tensor"]) -> str:
    return f"{sum(tensor.numel() for tensor in state.values()):,} numbers in {len(state)} tensors"
