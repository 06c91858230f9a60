"""Weights that other programs wrote: safetensors and files of torch; nothing in them is run."""

import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from slr_pipeline.config.weights import how_to_get
from slr_pipeline.errors import ArtifactError, DataError
from slr_pipeline.io.messages import printable
from slr_pipeline.io.models import short_reason
from slr_pipeline.io.video import sha256_of

MOST_PACKED = 2**26
"""Most bytes by which a zip of torch may grow when it is unpacked."""

MOST_NAMED = 300
"""Most characters of the name of a tensor."""


def check_sha256(path: str | Path, expected: str | None) -> str:
    """The SHA-256 of a file; ArtifactError unless it equals `expected`, if that is given.

    DataError for a missing file, with advice on how to get it.
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
    """Stand-in for objects beside the weights in a checkpoint; keeps nothing of them."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


_BESIDE: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (dict, "pytorch_lightning.utilities.parsing.AttributeDict"),
    (_Ignored, "pytorch_lightning.callbacks.early_stopping.EarlyStopping"),
    (_Ignored, "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint"),
    (_Ignored, "mmengine.logging.history_buffer.HistoryBuffer"),
    (_Ignored, "builtins.getattr"),  # for the methods of that buffer
    (_Ignored, "numpy.dtype"),
    (_Ignored, "numpy.ndarray"),
    (_Ignored, "numpy.core.multiarray._reconstruct"),
    (_Ignored, "numpy.core.multiarray.scalar"),
    (_Ignored, "numpy._core.multiarray._reconstruct"),
    (_Ignored, "numpy._core.multiarray.scalar"),
]
"""Stand-ins for the classes that checkpoints of Lightning 1.1 and of mmengine name."""


def read_foreign(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a state dict that another program wrote, on the CPU.

    Reads `.safetensors` and files of `torch.save`, old and new, with the state dict at the top,
    under `state_dict`, as Lightning and mmcv write it, or the only one under any other key.
    ArtifactError for a file that is damaged, needs code to be run, or holds anything but plain
    tensors by name.
    """
    content = _load_foreign(path)
    if isinstance(content, Mapping):
        content = _state_dict(path, content)
    if not isinstance(content, Mapping) or not content:
        found = "an empty one" if isinstance(content, Mapping) else type(content).__name__
        raise ArtifactError(f"{path}: expected a state dict, found {found}; save the state dict")
    wrong = [printable(name) for name, value in content.items() if not _is_plain(name, value)]
    if wrong:
        raise ArtifactError(
            f"{path}: {len(wrong)} of {len(content)} entries are not tensors by name "
            f"({', '.join(wrong[:10])}); save the state dict alone, or under the key state_dict"
        )
    return {name: value.detach() for name, value in content.items()}


def _state_dict(path: str | Path, content: Mapping[Any, Any]) -> Any:
    """The state dict in a checkpoint, or the checkpoint itself if it has tensors or none in it."""
    if isinstance(content.get("state_dict"), Mapping):
        return content["state_dict"]
    if any(isinstance(value, Tensor) for value in content.values()):
        return content
    found = [
        key
        for key, value in content.items()
        if isinstance(value, Mapping) and value and all(map(_is_plain, value, value.values()))
    ]
    if len(found) > 1:
        raise ArtifactError(
            f"{path}: has {len(found)} state dicts, {', '.join(map(printable, found[:10]))}; save "
            "one of them alone"
        )
    return content[found[0]] if found else content


def _load_foreign(path: str | Path) -> Any:
    if not Path(path).is_file():
        raise ArtifactError(f"{path}: there is no such file; check the path")
    try:
        if Path(path).suffix == ".safetensors":
            return load_file(path)
        _check_zip(path)
        with torch.serialization.safe_globals(_BESIDE), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old files: read all the same, or refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except ArtifactError:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        forbidden = re.search(r"GLOBAL ([\w.]+)", str(error))
        if isinstance(error, pickle.UnpicklingError) and forbidden:
            raise ArtifactError(
                f"{path}: asks for {forbidden[1]}, and nothing in a file is run; if you trust it, "
                "load it where it was made and save its state dict alone"
            ) from error
        raise ArtifactError(
            f"{path}: not whole weights ({short_reason(error)}); copy the file again from its "
            "source"
        ) from error


def _check_zip(path: str | Path) -> None:
    """ArtifactError for a zip that is damaged, or unpacks to much more than its size."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        size = sum(info.file_size for info in archive.infolist())
    if size > Path(path).stat().st_size + MOST_PACKED:
        raise ArtifactError(
            f"{path}: would unpack to {size} bytes, but torch does not compress tensors; save the "
            "weights again with torch.save"
        )
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()  # torch itself does not verify the checksums
    if damaged is not None:
        raise ArtifactError(
            f"{path}: not whole weights ({damaged:.60} is damaged); copy the file again from its "
            "source"
        )


def _is_plain(name: object, value: object) -> bool:
    """Whether this is a named dense tensor of real numbers, each with its own memory."""
    if not isinstance(name, str) or not name.isprintable() or len(name) > MOST_NAMED:
        return False
    if not isinstance(value, Tensor):
        return False
    if value.layout is not torch.strided or value.is_nested or value.is_quantized:
        return False
    if value.is_complex() or value.device.type != "cpu":
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()
