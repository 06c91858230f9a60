"""Start weights of a training: imported weights, or those of a trained stream."""

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from slr_pipeline.config.experiment import Config
from slr_pipeline.config.streams import ImportedSettings, TrainedStream
from slr_pipeline.config.weights import published_sha256
from slr_pipeline.errors import ArtifactError, ConfigError, DataError, SlrError
from slr_pipeline.io.foreign.weights import read_foreign
from slr_pipeline.io.models import (
    WEIGHTS_FORMAT,
    check_version,
    load_model,
    load_weights,
    read_header,
    read_shapes,
    read_sidecar,
    save_weights,
)
from slr_pipeline.io.video import sha256_of
from slr_pipeline.models.published import (
    KINDS,
    our_weights,
    recognised,
    refuse,
    unusable,
    unwrapped,
)
from slr_pipeline.training.streams import build_model

log = logging.getLogger(__name__)


def import_weights(model: str, source: str | Path, out: str | Path) -> None:
    """Convert a checkpoint of the authors or of torchvision to weights of our `model`.

    Values become float32. Unused weights are left out: constants, VTN's second trunk, torchvision's
    classifiers. Where any name is unknown or missing, has another shape, or has values that are not
    finite, an ArtifactError lists them and nothing is written.
    """
    if model not in KINDS:
        raise ConfigError(f"model {model}: expected one of {', '.join(KINDS)}")
    if Path(out).suffix != ".safetensors":
        raise ConfigError(f"{out}: the file to write must end in .safetensors")
    theirs = unwrapped(source, read_foreign(source))
    _check_published(source)
    kind = recognised(source, model, theirs)
    state = our_weights(source, model, kind, theirs)
    head = state.get("classifier.weight")
    classes = "" if head is None else str(len(head))
    save_weights(out, state, {"model": model, "source": kind.source, "classes": classes})
    log.info(
        "%s: %s weights of %s, %d tensors%s; %d of %d in the source are not used",
        out,
        kind.source,
        model,
        len(state),
        f", {classes} classes" if classes else ", no classifier",
        sum(bool(re.fullmatch(kind.unused, name)) for name in theirs),
        len(theirs),
    )


def _check_published(source: str | Path) -> None:
    """ArtifactError when a file has the name of a published one but other content."""
    expected = published_sha256(str(source))
    found = sha256_of(source) if expected else ""
    if not found.startswith(expected):
        raise ArtifactError(
            f"{source}: SHA-256 is {found}, that of the file published under this name {expected}; "
            "fetch the file again from its source, or give another file another name"
        )


def start_from(model: nn.Module, path: str | Path, *, classes: Sequence[str]) -> list[str]:
    """Load weights into a new `model`; returns the names of the parts that keep their own weights.

    `path` is a file of `import_weights` or a trained model with its sidecar. A part is an attribute
    of the model (`trunk`, `units`, ...); it keeps its weights if the file has none for it. So does
    the classifier if the file has another number of classes or the sidecar other `classes`.
    ArtifactError lists names that are unknown, have another shape, or are missing in a part of
    which the file has other weights.
    """
    their_classes, description = _read_facts(path)
    state = load_weights(path)[0] if their_classes is None else load_model(path)[0]
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    fitting = _fitting(model, path, shapes, description, their_classes, classes)
    weights = {name: state[name] for name in fitting}
    refuse(f"{path}: {description}, have values that no network can use", unusable(weights))
    model.load_state_dict(weights, strict=False)
    fresh = _fresh(model, fitting)
    log.info("start from %s: %s; new: %s", path, description, ", ".join(fresh) or "nothing")
    return fresh


def weights_problems(config: Config, classes: Sequence[str] | None) -> Iterator[str]:
    """A line per file of start weights that does not fit its stream; headers are read, no weights.

    Without `classes` the classifier is not compared. Files that do not exist are left out.
    """
    for name, stream in config.streams.items():
        if isinstance(stream, ImportedSettings) or stream.init is None:
            continue
        path = stream.init.path
        try:
            if os.path.isfile(path):
                check_start(stream, path, classes)
        except SlrError as error:
            what, *details = str(error).splitlines()
            example = (
                f"; first {details[0].strip()}; correct the settings or the path" if details else ""
            )
            yield f"streams.{name}.init.path: {what}{example}"


def check_start(stream: TrainedStream, path: str, classes: Sequence[str] | None) -> None:
    """`start_from` without reading the weights; SlrError where it or the training would fail."""
    their_classes, description = _read_facts(path)
    shapes = read_shapes(path)
    if classes is None:
        shapes = {name: shape for name, shape in shapes.items() if _part(name) != "classifier"}
    with torch.device("meta"):
        model = build_model(stream, len(classes or ("", "")))
    fitting = _fitting(model, path, shapes, description, their_classes, classes or ())
    if classes is not None and not stream.training.epochs:
        refuse_fresh(path, _fresh(model, fitting))


def refuse_fresh(path: str | Path, fresh: Sequence[str]) -> None:
    """DataError if weights that are fine-tuned or used as they are lack these parts."""
    if fresh:
        raise DataError(
            f"{path}: its classes are not those of the sample table, or it has no weights of "
            f"{', '.join(fresh)}, so there is nothing to fine-tune or to use as it is; train the "
            "stream for some epochs"
        )


def _fitting(
    model: nn.Module,
    path: str | Path,
    theirs: Mapping[str, tuple[int, ...]],
    description: str,
    their_classes: Sequence[str] | None,
    classes: Sequence[str],
) -> list[str]:
    """The names of the weights (shapes `theirs`) that the model takes; see `start_from`."""
    ours = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    if _other_classes(theirs, ours, their_classes, classes):
        theirs = {name: shape for name, shape in theirs.items() if _part(name) != "classifier"}
    given = {_part(name) for name in theirs}
    problems = {
        "unknown": [name for name in theirs if name not in ours],
        "missing": [name for name in ours if _part(name) in given and name not in theirs],
        "misshapen": [
            f"{name} is {shape}, expected {ours[name]}"
            for name, shape in theirs.items()
            if name in ours and shape != ours[name]
        ],
    }
    name = type(model).__name__
    refuse(f"{path}: {description}, do not fit the {name} of these settings", problems)
    if not theirs:
        raise ArtifactError(f"{path}: {description}, hold no weights of a {name}")
    return list(theirs)


def _fresh(model: nn.Module, fitting: Sequence[str]) -> list[str]:
    """The parts of a model that keep their own weights."""
    given = {_part(name) for name in fitting}
    parts = dict.fromkeys(_part(name) for name in model.state_dict())
    return [part for part in parts if part not in given]


def _read_facts(path: str | Path) -> tuple[list[str] | None, str]:
    """The classes of a trained model, None for imported weights, and a description."""
    header = read_header(path)
    if header.get("format") == WEIGHTS_FORMAT:
        check_version(path, header)
        return None, f"{header.get('source')} weights of {header.get('model')}"
    sidecar_path = Path(path).with_suffix(".json")
    if not sidecar_path.is_file():
        raise ArtifactError(
            f"{path}: neither imported weights nor a model with {sidecar_path.name} beside it; "
            "import weights of another program with `slr import-checkpoint`"
        )
    return list(read_sidecar(path).get("classes", [])), "weights of a stream"


def _other_classes(
    theirs: Mapping[str, tuple[int, ...]],
    ours: Mapping[str, tuple[int, ...]],
    known: Sequence[str] | None,
    classes: Sequence[str],
) -> bool:
    """Whether the classifier of a file has other classes than the model."""
    if known is not None and list(known) != list(classes):
        return True
    head = [name for name in ours if _part(name) == "classifier" and name in theirs]
    return any(theirs[name][:1] != ours[name][:1] for name in head)


def _part(name: str) -> str:
    return name.partition(".")[0]
