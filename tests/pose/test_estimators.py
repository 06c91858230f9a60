"""Errors that all estimators share: packages, files and checksums of their networks."""

import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd  # noqa: F401  (it looks for pyarrow once, before a test hides it)
import pytest

from slr_pipeline.config.estimators import (
    ImportedKeypointsSettings,
    MediapipeSettings,
    MediapipeTasksSettings,
    MmposeSettings,
    OnnxSettings,
    WeightsFile,
)
from slr_pipeline.errors import ArtifactError, SlrError
from slr_pipeline.io.video import sha256_of
from slr_pipeline.pose.estimators import open_estimator
from tests.pose import networks
from tests.pose.clips import pose_clip
from tests.pose.networks import RTMPOSE

NO_FILE = WeightsFile(path="none")
INSTALL = "pip install -c requirements/constraints.txt -e"
MISSING = {
    "mediapipe": (
        MediapipeSettings(),
        "needs mediapipe 0.10.21, found none: pip install --no-deps -r requirements/pose.txt"
        if sys.version_info < (3, 13)
        else "needs mediapipe 0.10.21, found none: it has no wheels for Python 3.13 and later; set "
        "estimator: mediapipe_tasks, or use Python 3.11 or 3.12",
    ),
    "mediapipe.tasks": (
        MediapipeTasksSettings(
            estimator="mediapipe_tasks", pose=NO_FILE, hand=NO_FILE, face=NO_FILE
        ),
        "needs mediapipe 1.2.3 or later, found none: pip install --no-deps -r requirements/"
        "tasks.txt",
    ),
    "mmpose": (
        MmposeSettings(estimator="mmpose", config="x", checkpoint=NO_FILE),
        f"needs mmpose 1.3.2, found none: {INSTALL} '.[mmpose]' and then pip install --no-deps -r "
        "requirements/mmpose.txt",
    ),
    "onnxruntime": (OnnxSettings(estimator="onnx", model=NO_FILE), f"{INSTALL} '.[onnx]'"),
    "pose_format": (
        ImportedKeypointsSettings(estimator="imported", format="pose", path="{sample}.pose"),
        f"{INSTALL} '.[formats]'",
    ),
    "pyarrow": (
        ImportedKeypointsSettings(
            estimator="imported", format="asl-signs", path="{sample}.parquet"
        ),
        f"{INSTALL} '.[formats]'",
    ),
}


@pytest.mark.parametrize("package", MISSING)
def test_a_missing_package_is_one_line_with_the_command(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.chdir(tmp_path)
    Path("clip.pose").touch()
    Path("clip.parquet").touch()
    settings, line = MISSING[package]
    with pytest.raises(SlrError) as caught:
        open_estimator(settings, "cpu").estimate(pose_clip([]))
    assert str(caught.value).endswith(line)
    assert "\n" not in str(caught.value)


needs_networks = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("mmpose", "onnxruntime", "onnx")),
    reason="mmpose, onnxruntime or onnx is not installed",
)


@pytest.fixture(params=["mmpose", "onnx"])
def network(
    request: pytest.FixtureRequest, weights: Callable[[str], str], tmp_path: Path
) -> tuple[str, Callable[[WeightsFile], Any]]:
    """The file of a network, and its settings with another file."""
    if request.param == "onnx":
        path = networks.export(networks.build(RTMPOSE), tmp_path / "rtmpose-t.onnx")
        return path, lambda file: OnnxSettings(estimator="onnx", model=file)
    return weights(RTMPOSE), lambda file: MmposeSettings(
        estimator="mmpose", config=RTMPOSE, checkpoint=file
    )


@needs_networks
def test_a_truncated_file_is_refused(
    network: tuple[str, Callable[[WeightsFile], Any]], tmp_path: Path
) -> None:
    whole, settings = network
    data = Path(whole).read_bytes()
    for part in (b"", data[: len(data) // 3], data[: len(data) - 999], b"no network"):
        (tmp_path / "short").write_bytes(part)
        with pytest.raises(ArtifactError, match=r"short: not (a complete|whole)") as caught:
            open_estimator(settings(WeightsFile(path=str(tmp_path / "short"))), "cpu")
        assert "\n" not in str(caught.value)


@needs_networks
def test_the_sha256_is_checked(network: tuple[str, Callable[[WeightsFile], Any]]) -> None:
    path, settings = network
    digest = sha256_of(path)
    open_estimator(settings(WeightsFile(path=path, sha256=digest)), "cpu")
    with pytest.raises(ArtifactError, match=f"SHA-256 is {digest}, expected 000"):
        open_estimator(settings(WeightsFile(path=path, sha256="0" * 64)), "cpu")
