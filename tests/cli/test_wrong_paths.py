"""Each `slr` command with a missing path: one line, exit status 1, nothing written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from slr_pipeline.cli.main import COMMANDS

OF_LOGITS = ("--split", "test", "--protocol", "strict", "--reads", "keypoints")
WRONG = {
    "check": ["nowhere/config.yaml"],
    "plan": ["nowhere/config.yaml"],
    "init": ["nowhere"],
    "inspect": ["nowhere/all.h5"],
    "predict": ["clip.mp4", "--models", "nowhere"],
    "overlay": ["signer0_sample1", "--results", "nowhere", "--out", "out.mp4"],
    "contact-sheet": ["signer0_sample1", "--results", "nowhere", "--out", "sheet.png"],
    "export": ["--onnx", "joint", "--results", "nowhere", "--out", "onnx"],
    "add": ["nowhere"],
    "cross-validate": ["nowhere.yaml", "--track", "rgb"],
    "check-submission": ["nowhere.csv", "--template", "nowhere.csv"],
    "make-split": ["nowhere.csv", "split.csv"],
    "import-logits": [*("nowhere.pkl", "out.h5", "--config", "nowhere.yaml"), *OF_LOGITS],
    "import-checkpoint": ["--model", "vtn", "nowhere.pth", "out.safetensors"],
    "weights": ["check", "nowhere.yaml"],
}


def test_no_command_is_left_out() -> None:
    assert set(COMMANDS) - set(WRONG) == {"docs"}  # it reads nothing


@pytest.mark.parametrize("command", WRONG)
def test_a_path_that_is_not_there(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "nowhere" in refused(command, *WRONG[command])
    assert list(tmp_path.iterdir()) == []
