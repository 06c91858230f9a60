"""docs/artifacts.md, weights with their sidecar."""

from pathlib import Path

import pytest
import torch

from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.checkpoints import load_model, save_model

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3).T, "n": torch.tensor(3)}


def test_weights_and_sidecar_are_read_back(tmp_path: Path) -> None:
    save_model(tmp_path / "model.safetensors", STATE, {"classes": ["ç", "b"]})
    state, sidecar = load_model(tmp_path / "model.safetensors")
    assert sidecar["classes"] == ["ç", "b"]
    assert all(torch.equal(state[name], tensor) for name, tensor in STATE.items())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.json", "model.safetensors"]


@pytest.mark.parametrize("broken", ["model.json", "model.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"[]", b"\x80\x04junk"])
def test_broken_files_are_refused(tmp_path: Path, broken: str, content: bytes | None) -> None:
    save_model(tmp_path / "model.safetensors", STATE, {"classes": ["a"]})
    (tmp_path / broken).unlink()
    if content is not None:
        (tmp_path / broken).write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        load_model(tmp_path / "model.safetensors")
    assert len(str(caught.value).splitlines()) == 1
