"""docs/reference/artifacts.md: weights with their sidecar, imported weights, foreign files."""

import contextlib
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.foreign.weights import read_foreign
from slr_pipeline.io.models import load_model, load_weights, save_model, save_weights

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


# --- imported weights ----------------------------------------------------------------------------

FACTS = {"model": "vtn", "source": "released", "classes": "226"}


def test_imported_weights_are_read_back_with_their_header(tmp_path: Path) -> None:
    save_weights(tmp_path / "a.safetensors", STATE, FACTS)
    state, header = load_weights(tmp_path / "a.safetensors")
    assert header == {"format": "slr-weights", "version": "2", **FACTS}
    assert all(torch.equal(state[name], tensor) for name, tensor in STATE.items())
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    contents = set()
    for number in range(8):  # safetensors' own order of the header is another one each time
        path = tmp_path / f"{number}.safetensors"
        odd = number % 2 == 1
        state = dict(reversed(STATE.items())) if odd else STATE
        save_weights(path, state, dict(reversed(FACTS.items())) if odd else FACTS)
        contents.add(path.read_bytes())
    assert len(contents) == 1


@pytest.mark.parametrize("header", [None, {"format": "pt"}, {"format": "slr-weights"}])
def test_other_safetensors_are_no_imported_weights(
    tmp_path: Path, header: dict[str, str] | None
) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors", header)
    with pytest.raises(ArtifactError, match="expected slr-weights version 2, found"):
        load_weights(tmp_path / "a.safetensors")


# --- files of other programs ---------------------------------------------------------------------


def saved(content: object, new: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=new)
    return buffer.getvalue()


def one_line(path: Path) -> str:
    """The message of the refusal; no warning beside it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ArtifactError) as caught:
            read_foreign(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert len(line.splitlines()) == 1
    assert len(line) < 500
    return line


@pytest.mark.parametrize("new", [True, False])
def test_damaged_files_of_torch_are_refused(tmp_path: Path, new: bool) -> None:
    whole = saved({"a": torch.arange(100.0)}, new)
    path = tmp_path / "a.pth"
    generator = torch.Generator().manual_seed(1)
    for cut in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:cut])
        one_line(path)
    for _ in range(200):
        place, byte = torch.randint(0, 256 * len(whole), (2,), generator=generator).tolist()
        broken = bytearray(whole)
        broken[place % len(whole)] = byte % 256
        path.write_bytes(broken)
        with contextlib.suppress(ArtifactError):  # a changed number is not seen
            read_foreign(path)


def test_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    assert "there is no such file" in one_line(tmp_path / "none.pth")
    assert "there is no such file" in one_line(tmp_path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused(tmp_path: Path) -> None:
    module = torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2))  # type: ignore[no-untyped-call]
    torch.jit.save(module, str(tmp_path / "a.pt"))  # type: ignore[no-untyped-call]
    assert "TorchScript" in one_line(tmp_path / "a.pt")


STRANGE: dict[str, Callable[[], Any]] = {
    "asks for torch.nn.modules.linear.Linear, and nothing in a file is run": lambda: {
        "net": torch.nn.Linear(2, 2)
    },
    "expected a state dict, found list": lambda: [torch.zeros(1)],
    "expected a state dict, found Tensor": lambda: torch.zeros(1),
    "expected a state dict, found an empty one": lambda: {"state_dict": {}},
    "2 of 3 entries are not tensors by name ('net', 'epoch')": lambda: {
        "a": torch.zeros(1),
        "net": {"a": torch.zeros(1)},
        "epoch": 3,
    },
    "has 2 state dicts, 'net', 'ema'; save one of them alone": lambda: {
        "net": {"a": torch.zeros(1)},
        "ema": {"a": torch.zeros(1)},
        "optimizer": {"state": {0: torch.zeros(1)}},
    },
    "1 of 1 entries are not tensors by name (type int)": lambda: {0: torch.zeros(1)},
    r"('a\x1b[2J\n')": lambda: {"a\x1b[2J\n": torch.zeros(1)},
    "('sparse')": lambda: {"sparse": torch.eye(2).to_sparse()},
    "('complex')": lambda: {"complex": torch.zeros(1, dtype=torch.complex64)},
    "('meta')": lambda: {"meta": torch.zeros(1, device="meta")},
    "('one place')": lambda: {"one place": torch.zeros(1).expand(10**12)},
}


@pytest.mark.parametrize("reason", STRANGE)
def test_what_is_no_state_dict_is_refused(tmp_path: Path, reason: str) -> None:
    (tmp_path / "a.pth").write_bytes(saved(STRANGE[reason]()))
    assert reason in one_line(tmp_path / "a.pth")
