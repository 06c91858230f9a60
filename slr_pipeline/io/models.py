"""Trained weights: models with a JSON sidecar, imported weights, files of other programs."""

import hashlib
import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from slr_pipeline.config.weights import how_to_get
from slr_pipeline.errors import ArtifactError, DataError
from slr_pipeline.io.atomic import atomic_write
from slr_pipeline.io.documents import read_document, write_document
from slr_pipeline.io.video import sha256_of

FORMAT = "slr-model"
VERSION = 1

WEIGHTS_FORMAT = "slr-weights"
WEIGHTS_VERSION = "2"

MOST_PACKED = 2**26
"""Bytes by which a file of torch may grow when it is read."""


def save_model(path: str | Path, state: dict[str, torch.Tensor], sidecar: dict[str, Any]) -> None:
    """Write `<path>` (safetensors) and the sidecar `<path stem>.json` beside it."""
    with atomic_write(path, load_file) as partial:
        save_file({name: tensor.cpu().contiguous() for name, tensor in state.items()}, partial)
    content = {"format": FORMAT, "version": VERSION, **sidecar, "sha256": sha256_of(path)}
    write_document(Path(path).with_suffix(".json"), content)


def load_model(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights and sidecar. ArtifactError for a missing, short, changed or foreign file."""
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
    if sha256_of(path) != sidecar.get("sha256"):
        raise ArtifactError(
            f"{path}: not the weights that {sidecar_path.name} beside it was written with; train "
            "the stream again"
        )
    return load_file(path), sidecar


# --- imported weights ----------------------------------------------------------------------------


def save_weights(path: str | Path, state: Mapping[str, Tensor], facts: Mapping[str, str]) -> None:
    """Write weights that were not trained here, with what they are in the safetensors header.

    The header holds `facts`, format, version and a SHA-256 of all. The same arguments give the
    same bytes.
    """
    header = {"format": WEIGHTS_FORMAT, "version": WEIGHTS_VERSION, **facts}
    header["sha256"] = _digest(state, header)
    with atomic_write(path, load_weights) as partial:
        save_file(
            {name: tensor.cpu().contiguous() for name, tensor in state.items()}, partial, header
        )
        _sort_header(partial)


def load_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Weights of `save_weights` with their header. ArtifactError for any other or changed file."""
    header = read_header(path)
    found = (header.get("format"), header.get("version"))
    if found != (WEIGHTS_FORMAT, WEIGHTS_VERSION):
        raise ArtifactError(
            f"{path}: expected {WEIGHTS_FORMAT} version {WEIGHTS_VERSION}, found {found}; "
            "import the weights again with `slr import-checkpoint`"
        )
    state = load_file(path)
    if header.pop("sha256", None) != _digest(state, header):
        raise ArtifactError(
            f"{path}: has changed since it was written; import the weights again with `slr "
            "import-checkpoint`"
        )
    return state, header


def _digest(state: Mapping[str, Tensor], header: Mapping[str, str]) -> str:
    """SHA-256 of tensors and header, in whatever order they come."""
    digest = hashlib.sha256(json.dumps(sorted(header.items())).encode())
    for name, tensor in sorted(state.items()):
        digest.update(json.dumps([name, str(tensor.dtype), tensor.shape]).encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read_header(path: str | Path) -> dict[str, str]:
    """What a safetensors file says of itself, maybe nothing; ArtifactError if it is not one."""
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise ArtifactError(
            f"{path}: not a whole safetensors file ({_one_line(error)}); weights of another "
            "program are brought in with `slr import-checkpoint`"
        ) from error


def _sort_header(path: Path) -> None:
    """Sort the entries about the file: safetensors writes them in another order each time."""
    with open(path, "r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        file.seek(8)
        file.write(text.ljust(size))


# --- files of other programs ---------------------------------------------------------------------


def check_sha256(path: str | Path, expected: str | None) -> str:
    """The SHA-256 of a file; ArtifactError unless it is the expected one, where one is given.

    DataError where the file cannot be read; where it is not there, that says which to get.
    """
    if not Path(path).is_file():
        raise DataError(f"{path}: there is no such file; {how_to_get(str(path))}")
    found = sha256_of(path)
    if expected is not None and found != expected.strip().lower():
        raise ArtifactError(
            f"{path}: SHA-256 is {found}, expected {expected}; fetch the file again from its source"
        )
    return found


class _Ignored:
    """Takes the place of what stands beside the weights in checkpoints, and keeps nothing of it."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


_BESIDE: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (dict, "pytorch_lightning.utilities.parsing.AttributeDict"),
    (_Ignored, "pytorch_lightning.callbacks.early_stopping.EarlyStopping"),
    (_Ignored, "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint"),
    (_Ignored, "mmengine.logging.history_buffer.HistoryBuffer"),
    (_Ignored, "builtins.getattr"),  # of that buffer: its methods
    (_Ignored, "numpy.dtype"),
    (_Ignored, "numpy.ndarray"),
    (_Ignored, "numpy.core.multiarray._reconstruct"),
    (_Ignored, "numpy.core.multiarray.scalar"),
    (_Ignored, "numpy._core.multiarray._reconstruct"),
    (_Ignored, "numpy._core.multiarray.scalar"),
]
"""What checkpoints of Lightning 1.1 and of mmengine name, and what is taken in its place."""


def read_foreign(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a state dict that another program wrote, on the CPU.

    Read are safetensors (by the ending of the name) and files of `torch.save`, old and new, in
    which the state dict stands alone or under `state_dict`, as Lightning and mmcv write it. Nothing
    in a file is run. ArtifactError for a file that is damaged, asks for code to be run, or holds
    anything but plain tensors by name.
    """
    content = _load_foreign(path)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        found = "an empty one" if isinstance(content, Mapping) else type(content).__name__
        raise ArtifactError(f"{path}: expected a state dict, found {found}; save the state dict")
    wrong = [repr(name) for name, value in content.items() if not _is_plain(name, value)]
    if wrong:
        raise ArtifactError(
            f"{path}: {len(wrong)} of {len(content)} entries are not tensors by name "
            f"({', '.join(wrong[:10])}); save the state dict alone, or under the key state_dict"
        )
    return {name: value.detach() for name, value in content.items()}


def _load_foreign(path: str | Path) -> Any:
    if not Path(path).is_file():
        raise ArtifactError(f"{path}: there is no such file; check the path")
    try:
        if Path(path).suffix == ".safetensors":
            return load_file(path)
        _check_unpacked(path)
        with torch.serialization.safe_globals(_BESIDE), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old files: they are read, or refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except ArtifactError:
        raise
    except Exception as error:  # what a damaged pickle raises is anyone's guess
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        if isinstance(error, pickle.UnpicklingError) and asked:
            raise ArtifactError(
                f"{path}: asks for {asked[1]}, and nothing in a file is run; if you trust it, load "
                "it where it was made and save its state dict alone"
            ) from error
        raise ArtifactError(
            f"{path}: not whole weights ({_one_line(error)}); copy the file again from its source"
        ) from error


def _check_unpacked(path: str | Path) -> None:
    """ArtifactError for a zip that unpacks to much more than it has: torch packs no numbers."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        size = sum(info.file_size for info in archive.infolist())
    if size > Path(path).stat().st_size + MOST_PACKED:
        raise ArtifactError(
            f"{path}: would take {size} bytes, much more than it has, and torch packs no numbers; "
            "save the weights again with torch.save"
        )


def _is_plain(name: object, value: object) -> bool:
    """Whether this is a tensor by name: of real numbers, each with a place of its own."""
    if not isinstance(name, str) or not name.isprintable() or not isinstance(value, Tensor):
        return False
    if value.layout is not torch.strided or value.is_nested or value.is_quantized:
        return False
    if value.is_complex() or value.device.type != "cpu":
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _one_line(error: Exception) -> str:
    """What is wrong in a few words, without torch's advice around it."""
    text = str(error).rpartition("WeightsUnpickler error: ")[2].strip() or type(error).__name__
    return "".join(c for c in text.splitlines()[0][:200] if c.isprintable())
