"""Weights from outside: the table of published files, and the checks of configured ones."""

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from slr_pipeline.cli.main import main
from slr_pipeline.config.experiment import Config, check_config, read_config
from slr_pipeline.config.weights import (
    PUBLISHED_WEIGHTS,
    PublishedWeights,
    configured_weights,
    how_to_get,
    mismatch_problem,
    missing_problem,
    published_sha256,
)
from slr_pipeline.errors import ArtifactError, ConfigError, DataError
from slr_pipeline.io.foreign.weights import check_sha256
from slr_pipeline.models.published import KINDS
from slr_pipeline.samples.requirements import check_streams
from slr_pipeline.samples.table import load_samples
from slr_pipeline.training.start_weights import import_weights

ROOT = Path(__file__).parents[2]
KINETICS = "r2plus1d_18_kinetics.safetensors"
DWPOSE = "dw-ll_ucoco_384.onnx"


def values(keypoints: dict[str, Any] | None = None) -> dict[str, Any]:
    """The demo's config with another pose estimator."""
    demo = yaml.safe_load((ROOT / "config.yaml").read_text())
    return {**demo, "features": {"keypoints": keypoints or {"estimator": "mediapipe"}}}


def config(keypoints: dict[str, Any] | None = None, init: dict[str, Any] | None = None) -> Config:
    changed = values(keypoints)
    if init is not None:
        changed["streams"]["rgb"]["init"] = init
    return check_config(changed)


@pytest.mark.parametrize("weights", PUBLISHED_WEIGHTS, ids=lambda weights: weights.name)
def test_an_entry_of_the_table_is_complete(weights: PublishedWeights) -> None:
    assert weights.where.startswith("https://")
    assert weights.licence
    assert weights.use
    assert re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{8}|", weights.sha256)
    # torchvision and MMPose put the first digits of the digest into the name.
    digits = re.search(r"-([0-9a-f]{8})(?=\.pth|_\d{8}\.pth)", weights.file)
    if digits and not digits[1].startswith("2023"):
        assert weights.sha256.startswith(digits[1])
    assert not weights.model or weights.model in KINDS
    assert weights.path.endswith(".safetensors") == bool(weights.model)
    end = weights.archive or weights.file
    assert weights.where.endswith((end, "models")) or "github" in weights.where
    section = weights.key.split(".")[-1]
    assert f"| `{section}` |" in (ROOT / "docs/reference/config.md").read_text()


def test_entries_have_unique_paths_and_the_shipped_configs_name_them() -> None:
    paths = {weights.path for weights in PUBLISHED_WEIGHTS}
    assert len(paths) == len(PUBLISHED_WEIGHTS) > 30
    for path in ROOT.glob("config/*.yaml"):
        named = {weights.path for weights in configured_weights(read_config(str(path)))}
        assert named <= {str(ROOT / path) for path in paths}


def test_all_weights_of_a_config_are_listed() -> None:
    keypoints = {"estimator": "onnx", "model": {"path": "m.onnx"}, "detector": {"path": "d.onnx"}}
    init = {"path": f"weights/{KINETICS}", "sha256": "0" * 64}
    by_key = {weights.key: weights for weights in configured_weights(config(keypoints, init))}
    assert {key: (weights.sha256, weights.model) for key, weights in by_key.items()} == {
        "features.keypoints.model": (None, ""),
        "features.keypoints.detector": (None, ""),
        "streams.rgb.init": ("0" * 64, "r2plus1d"),
    }
    assert list(configured_weights(config())) == []


@pytest.mark.parametrize(
    ("path", "model", "line"),
    [
        (
            f"w/{KINETICS}",
            "r2plus1d",
            "get r2plus1d_18-91a641e6.pth from https://download.pytorch.org/models/r2plus1d_18-"
            "91a641e6.pth (BSD-3-Clause) and run `slr import-checkpoint --model r2plus1d "
            f"r2plus1d_18-91a641e6.pth w/{KINETICS}`",
        ),
        ("w/slgcn_bone.safetensors", "slgcn", "get 27_2.zip from https://github.com/jackyjsy/"),
        ("w/mine.safetensors", "vtn", "`slr import-checkpoint --model vtn SOURCE w/mine.safetens"),
        (
            "w/hand_landmarker.task",
            "",
            "get hand_landmarker.task from https://storage.googleapis.com/mediapipe-models/"
            "hand_landmarker/hand_landmarker/float16/1/hand_landmarker.task (Apache-2.0) and put",
        ),
        (f"w/{DWPOSE}", "", "get dw-ll_ucoco_384.onnx from https://huggingface.co/yzd-v/DWPose/"),
        (
            "w/yolox_m_8xb8-300e_humanart-c2c7a14a.onnx",
            "",
            "get yolox_m_8xb8-300e_humanart-c2c7a14a.zip from https://download.openmmlab.com/mmpose"
            "/v1/projects/rtmposev1/onnx_sdk/yolox_m_8xb8-300e_humanart-c2c7a14a.zip (Apache-2.0) "
            "and put its end2end.onnx there",
        ),
        ("w/mine.onnx", "", "get a file of docs/reference/weights.md, or correct the path"),
    ],
)
def test_a_message_says_which_file_to_get(path: str, model: str, line: str) -> None:
    assert how_to_get(path, model).startswith(line)


def test_missing_weights_stop_a_run_before_it_starts_and_a_step(tmp_path: Path) -> None:
    table = load_samples(config().data)
    line = f"weights/{DWPOSE} is not there; get dw-ll_ucoco_384.onnx from https://huggingface"
    keypoints = {"estimator": "onnx", "model": {"path": f"weights/{DWPOSE}"}}
    with pytest.raises(ConfigError, match=rf"^features\.keypoints\.model\.path: {line}"):
        check_streams(config(keypoints), table)
    init = config(init={"path": f"{tmp_path}/{KINETICS}"})
    with pytest.raises(ConfigError, match=r"streams\.rgb\.init\.path: .* and run `slr import-che"):
        check_streams(init, table)
    with pytest.raises(DataError, match=r"get dw-ll_ucoco_384\.onnx from https://huggingface"):
        check_sha256(tmp_path / DWPOSE, None)


def test_a_file_that_differs_from_the_config_or_the_published_one_is_reported(
    tmp_path: Path,
) -> None:
    path = tmp_path / DWPOSE
    path.write_bytes(b"truncated")
    digest = hashlib.sha256(b"truncated").hexdigest()
    (weights,) = configured_weights(config({"estimator": "onnx", "model": {"path": str(path)}}))
    assert missing_problem(weights) is None
    problem = mismatch_problem(weights, digest) or ""
    assert f"{path} has SHA-256 {digest}, the published file 724f4ff2439e" in problem
    assert mismatch_problem(weights, published_sha256(DWPOSE)) is None
    model = {"path": str(path), "sha256": "0" * 64}
    (weights,) = configured_weights(config({"estimator": "onnx", "model": model}))
    assert "expected 0000" in (mismatch_problem(weights, digest) or "")
    # A converted file has another digest than the published one.
    (weights,) = configured_weights(config(init={"path": KINETICS}))
    assert mismatch_problem(weights, digest) is None


def test_a_file_that_is_not_the_published_one_is_not_imported(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "resnet18-f37072fd.pth"
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, path)
    with pytest.raises(ArtifactError, match="published under this name f37072fd; fetch the file"):
        import_weights("vtn", path, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_weights_check_lists_each_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, other = tmp_path / "good.onnx", tmp_path / "yolox_m_8xb8-300e_humanart-c2c7a14a.onnx"
    good.write_bytes(b"a network")
    digest = hashlib.sha256(b"a network").hexdigest()
    keypoints = {
        "estimator": "onnx",
        "model": {"path": str(good), "sha256": digest},
        "detector": {"path": str(other)},
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(values(keypoints)))

    with pytest.raises(SystemExit) as stopped:
        main(["weights", "check", str(path)])
    assert stopped.value.code == 1
    printed = capsys.readouterr()
    rows = [line.split() for line in printed.out.splitlines()]
    assert ["ok", "features.keypoints.model:", str(good), digest] in rows
    assert ["missing", "features.keypoints.detector:", str(other)] in rows
    (line,) = printed.err.splitlines()
    assert line.startswith(f"error: features.keypoints.detector.path: {other} is not there; get yo")

    other.write_bytes(b"something else")
    with pytest.raises(SystemExit):
        main(["weights", "check", str(path)])
    assert "bad     features.keypoints.detector" in capsys.readouterr().out

    path.write_text(yaml.safe_dump(values({**keypoints, "detector": None})))
    main(["weights", "check", str(path)])
    assert capsys.readouterr().err == ""
