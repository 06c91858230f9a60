"""Start weights of a training: imported weights, or those of a trained stream."""

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from slr_pipeline.config.weights import published_sha256
from slr_pipeline.errors import ArtifactError, ConfigError
from slr_pipeline.io.foreign.weights import read_foreign
from slr_pipeline.io.models import (
    WEIGHTS_FORMAT,
    load_model,
    load_weights,
    read_header,
    save_weights,
)
from slr_pipeline.io.video import sha256_of
from slr_pipeline.models.published import KINDS, our_weights, recognised, refuse, unwrapped

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
    state, their_classes, description = _read_start(path)
    ours = model.state_dict()
    if _other_classes(state, ours, their_classes, classes):
        state = {name: value for name, value in state.items() if _part(name) != "classifier"}
    given = {_part(name) for name in state}
    problems = {
        "unknown": [name for name in state if name not in ours],
        "missing": [name for name in ours if _part(name) in given and name not in state],
        "misshapen": [
            f"{name} is {tuple(value.shape)}, expected {tuple(ours[name].shape)}"
            for name, value in state.items()
            if name in ours and value.shape != ours[name].shape
        ],
    }
    name = type(model).__name__
    refuse(f"{path}: {description}, do not fit the {name} of these settings", problems)
    if not state:
        raise ArtifactError(f"{path}: {description}, hold no weights of a {name}")
    model.load_state_dict(state, strict=False)
    fresh = list(dict.fromkeys(_part(name) for name in ours if _part(name) not in given))
    log.info("start from %s: %s; new: %s", path, description, ", ".join(fresh) or "nothing")
    return fresh


def _read_start(path: str | Path) -> tuple[dict[str, Tensor], list[str] | None, str]:
    """Weights, their classes if known, and a description."""
    header = read_header(path)
    if header.get("format") == WEIGHTS_FORMAT:
        state, header = load_weights(path)
        return state, None, f"{header.get('source')} weights of {header.get('model')}"
    sidecar_path = Path(path).with_suffix(".json")
    if not sidecar_path.is_file():
        raise ArtifactError(
            f"{path}: neither imported weights nor a model with {sidecar_path.name} beside it; "
            "import weights of another program with `slr import-checkpoint`"
        )
    state, sidecar = load_model(path)
    return state, sidecar.get("classes"), "weights of a stream"


def _other_classes(
    state: Mapping[str, Tensor],
    ours: Mapping[str, Tensor],
    known: Sequence[str] | None,
    classes: Sequence[str],
) -> bool:
    """Whether the classifier of a file has other classes than the model."""
    if known is not None and list(known) != list(classes):
        return True
    head = [name for name in ours if _part(name) == "classifier" and name in state]
    return any(state[name].shape[:1] != ours[name].shape[:1] for name in head)


def _part(name: str) -> str:
    return name.partition(".")[0]
