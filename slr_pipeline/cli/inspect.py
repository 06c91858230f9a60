"""Tell what is in a file of a run: features, logits, weights."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.messages import first_few

if TYPE_CHECKING:
    import h5py
    from torch import Tensor

MOST_LISTED = 8
SHOWN_OF_A_HASH = 12

Facts = dict[str, str]


def flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("file", type=Path, help=".h5 or .safetensors")


def main(given: argparse.Namespace) -> None:
    """Print some ten lines of facts; every byte of the file is read and checked."""
    path: Path = given.file
    if not path.is_file():
        raise ArtifactError(f"{path}: there is no such file; check the path")
    kinds = {".h5": hdf5_facts, ".safetensors": weights_facts}
    if path.suffix not in kinds:
        raise ArtifactError(f"{path}: expected features or logits (.h5), or .safetensors")
    found = {**kinds[path.suffix](path), "size": f"{path.stat().st_size:,} bytes, whole"}
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:<{width}}  {value}")


def hdf5_facts(path: Path) -> Facts:
    """What is in a file of features or logits. ArtifactError for any other or a damaged one."""
    from slr_pipeline.io import features, logits  # noqa: PLC0415
    from slr_pipeline.io.container import check_container, open_container  # noqa: PLC0415

    try:
        check_container(path)
        with open_container(path) as file:
            found = str(file.attrs.get("format"))
            if found == features.FORMAT:
                return feature_facts(path, file)
            if found == logits.FORMAT:
                return logits_facts(path, file)
    except OSError as error:
        raise ArtifactError(
            f"{path}: not a whole file of this version ({error}); if it is of a run, delete it and "
            "run again"
        ) from error
    raise ArtifactError(
        f"{path}: format is {found!r}, expected {features.FORMAT} or {logits.FORMAT}; look at it "
        "with the program that wrote it"
    )


def feature_facts(path: Path, file: "h5py.File") -> Facts:
    """What is in a file of features."""
    import numpy as np  # noqa: PLC0415

    from slr_pipeline.io.features import ESTIMATOR, FORMAT, FeatureFile  # noqa: PLC0415
    from slr_pipeline.schema import FEATURES  # noqa: PLC0415

    feature = str(file.attrs.get("feature"))
    index = FeatureFile(path, feature)
    given, frames = index.attributes, np.diff(index.offset)
    seen = frames[frames > 0]
    lengths = f"; {seen.min()} to {seen.max()} a sample" if len(seen) else ""
    sizes = sorted({f"{width} x {height}" for width, height in index.size[frames > 0].tolist()})
    rates = sorted({f"{rate:g}" for rate in index.fps[frames > 0].tolist()})
    told = {"format", "feature", "version", "dims", "units", "provenance", *ESTIMATOR}
    others = {name: value for name, value in sorted(given.items()) if name not in told}
    meaning = f"({', '.join(FEATURES[feature].dims)}): {given['units']}"
    if FEATURES[feature].pictures:
        meaning = f"JPEGs of {FEATURES[feature].shape} a frame, {meaning}"
    return {
        "format": f"{FORMAT}, version {given['version']}: {feature}",
        "samples": f"{len(frames)}, {int((frames == 0).sum())} of them quarantined",
        "frames": f"{index.offset[-1]}{lengths}",
        "values": f"{_shape(file['values'])}, {meaning}",
        "beside": ", ".join(f"{name} {_shape(file[name])}" for name in file if name != "values"),
        "videos": f"{first_few(sizes, most=MOST_LISTED)} px, "
        f"{first_few(rates, most=MOST_LISTED)} frames a second",
        "estimator": _estimator(given),
        "noted": ", ".join(f"{name} {value}" for name, value in others.items()) or "nothing",
        **_made(str(given["provenance"])),
    }


def logits_facts(path: Path, file: "h5py.File") -> Facts:
    """What is in a file of logits."""
    from slr_pipeline.io.logits import FORMAT, VERSION, read_logits  # noqa: PLC0415

    found = read_logits(path)
    return {
        "format": f"{FORMAT}, version {VERSION}",
        "protocol": found.protocol,
        "samples": f"{len(found.samples)}, {int((~found.answered).sum())} of them not answered",
        "classes": f"{len(found.classes)}: {first_few(found.classes, most=MOST_LISTED)}",
        "values": f"{_shape(file['values'])}, raw logits",
        **_made(str(file.attrs["provenance"])),
    }


def weights_facts(path: Path) -> Facts:
    """What is in a trained model with its sidecar, or in imported weights."""
    from slr_pipeline.io import models  # noqa: PLC0415

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
        "classes": f"{len(about['classes'])}: {first_few(about['classes'], most=MOST_LISTED)}",
        "trained": f"phase {about['phase']}, protocol {about['protocol']}, seed {about['seed']}",
        "epoch": f"{about['epoch']}: "
        + ", ".join(f"{name} {value:.4g}" for name, value in metrics.items() if name != "epoch"),
        "estimator": _estimator(about["estimator"]),
        "settings": json.dumps(settings),
        "training": json.dumps(recipe),
        "package": about["provenance"]["package"],
    }


def _made(provenance: str) -> Facts:
    """Package and settings behind a file; the digests of what it was made from are left out."""
    about: dict[str, Any] = json.loads(provenance)
    package = str(about.pop("package", "unknown"))
    about.pop("inputs", None)
    return {"settings": json.dumps(about.get("settings", about)), "package": package}


def _estimator(given: Mapping[str, Any]) -> str:
    """What found the keypoints behind a file."""
    weights = str(given.get("weights_sha256", "unknown"))[:SHOWN_OF_A_HASH]
    return f"{given.get('estimator', 'unknown')}, weights {weights}"


def _shape(data: "h5py.Dataset") -> str:
    kind = "str" if data.dtype.kind == "O" else str(data.dtype)
    return f"({', '.join(map(str, data.shape))}) {kind}"


def _count(state: Mapping[str, "Tensor"]) -> str:
    return f"{sum(tensor.numel() for tensor in state.values()):,} numbers in {len(state)} tensors"
