"""Weights as safetensors: trained models with a JSON sidecar, and imported weights."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.atomic import atomic_write
from slr_pipeline.io.documents import read_document, write_document
from slr_pipeline.io.video import sha256_of
from slr_pipeline.text import shown

FORMAT = "slr-model"
VERSION = 1

WEIGHTS_FORMAT = "slr-weights"
WEIGHTS_VERSION = "2"


def save_model(path: str | Path, state: dict[str, torch.Tensor], sidecar: dict[str, Any]) -> None:
    """Write `<path>` (safetensors) and the sidecar `<path stem>.json` beside it."""
    with atomic_write(path, load_file) as partial:
        save_file({name: tensor.cpu().contiguous() for name, tensor in state.items()}, partial)
    content = {"format": FORMAT, "version": VERSION, **sidecar, "sha256": sha256_of(path)}
    write_document(Path(path).with_suffix(".json"), content)


def load_model(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read weights and sidecar. ArtifactError for a missing, short, changed or foreign file."""
    sidecar = read_sidecar(path)
    sidecar_path = Path(path).with_suffix(".json")
    if sha256_of(path) != sidecar.get("sha256"):
        raise ArtifactError(
            f"{path}: not the weights that {sidecar_path.name} beside it was written with; train "
            "the stream again"
        )
    return load_file(path), sidecar


def read_sidecar(path: str | Path) -> dict[str, Any]:
    """Read the sidecar of weights. ArtifactError if either is missing or the sidecar is foreign."""
    sidecar_path = Path(path).with_suffix(".json")
    for file in (path, sidecar_path):
        if not Path(file).is_file():
            raise ArtifactError(f"{file}: there is no such file; train the stream again")
    sidecar = read_document(sidecar_path, "sidecar of weights")
    found = (sidecar.get("format"), sidecar.get("version"))
    if found != (FORMAT, VERSION):
        raise ArtifactError(
            f"{sidecar_path}: expected {FORMAT} version {VERSION}, found {found}; train the "
            "stream again"
        )
    return sidecar


# --- imported weights ----------------------------------------------------------------------------


def save_weights(path: str | Path, state: Mapping[str, Tensor], facts: Mapping[str, str]) -> None:
    """Write imported weights with a description in the safetensors header.

    The header holds `facts`, format, version and a SHA-256 of weights and header. The same
    arguments give the same bytes.
    """
    header = {"format": WEIGHTS_FORMAT, "version": WEIGHTS_VERSION, **facts}
    header["sha256"] = _digest(state, header)
    with atomic_write(path, load_weights) as partial:
        save_file(
            {name: tensor.cpu().contiguous() for name, tensor in state.items()}, partial, header
        )
        _sort_header(partial)


def load_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read weights of `save_weights` and their header. ArtifactError for other or changed files."""
    header = read_header(path)
    check_version(path, header)
    state = load_file(path)
    if header.pop("sha256", None) != _digest(state, header):
        raise ArtifactError(
            f"{path}: has changed since it was written; import the weights again with `slr "
            "import-checkpoint`"
        )
    return state, header


def check_version(path: str | Path, header: Mapping[str, str]) -> None:
    """ArtifactError if a header is not that of imported weights of this version."""
    found = (header.get("format"), header.get("version"))
    if found != (WEIGHTS_FORMAT, WEIGHTS_VERSION):
        raise ArtifactError(
            f"{path}: expected {WEIGHTS_FORMAT} version {WEIGHTS_VERSION}, found {found}; "
            "import the weights again with `slr import-checkpoint`"
        )


def _digest(state: Mapping[str, Tensor], header: Mapping[str, str]) -> str:
    """SHA-256 of tensors and header, independent of their order."""
    digest = hashlib.sha256(json.dumps(sorted(header.items())).encode())
    for name, tensor in sorted(state.items()):
        digest.update(json.dumps([name, str(tensor.dtype), tensor.shape]).encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read_header(path: str | Path) -> dict[str, str]:
    """The metadata of a safetensors file, maybe empty; ArtifactError for other files."""
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise ArtifactError(
            f"{path}: not a whole safetensors file ({short_reason(error)}); import weights of "
            "another program with `slr import-checkpoint`"
        ) from error


def read_shapes(path: str | Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a safetensors file, without its values."""
    with safe_open(path, framework="pt") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def _sort_header(path: Path) -> None:
    """Sort the metadata: safetensors writes it in a random order."""
    with open(path, "r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        file.seek(8)
        file.write(text.ljust(size))


def short_reason(error: Exception) -> str:
    """The first line of an error in at most 200 characters, without torch's advice."""
    text = str(error).rpartition("WeightsUnpickler error: ")[2].strip() or type(error).__name__
    return shown(text.splitlines()[0][:200])
