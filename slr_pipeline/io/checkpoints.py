"""Trained weights: safetensors with a JSON sidecar of what they are."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.whole import whole_file, write_text

FORMAT = "slr-model"
VERSION = 1


def save_model(path: str | Path, state: dict[str, torch.Tensor], sidecar: dict[str, Any]) -> None:
    """Write `<path>` (safetensors) and the sidecar `<path stem>.json` beside it."""
    with whole_file(path, load_file) as partial:
        save_file({name: tensor.cpu().contiguous() for name, tensor in state.items()}, partial)
    content = {"format": FORMAT, "version": VERSION, **sidecar}
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    write_text(Path(path).with_suffix(".json"), text)


def load_model(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights and sidecar. ArtifactError for a missing, short or foreign file."""
    sidecar_path = Path(path).with_suffix(".json")
    try:
        sidecar = json.loads(sidecar_path.read_text(encoding="utf-8"))
        if (sidecar.get("format"), sidecar.get("version")) != (FORMAT, VERSION):
            raise ArtifactError(f"{sidecar_path}: not a {FORMAT} of version {VERSION}")
        return load_file(path), sidecar
    except (OSError, ValueError, AttributeError, SafetensorError) as error:
        raise ArtifactError(
            f"{path}: not whole weights with their sidecar ({error}); train the stream again"
        ) from error
