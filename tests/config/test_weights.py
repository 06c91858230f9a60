"""Weights of others: the list of them, and what is said of those that a config names."""

import copy
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from slr_pipeline.cli.main import main
from slr_pipeline.config.experiment import Config, check_config
from slr_pipeline.config.weights import (
    PUBLISHED,
    how_to_get,
    mismatch,
    missing,
    named_weights,
    published_sha256,
)
from slr_pipeline.errors import ArtifactError, ConfigError, DataError
from slr_pipeline.io.models import check_sha256
from slr_pipeline.models.published import KINDS
from slr_pipeline.samples.table import check_streams, load_samples
from slr_pipeline.training.start_weights import import_weights

ROOT = Path(__file__).parents[2]
KINETICS = "r2plus1d_18_kinetics.safetensors"
DWPOSE = "dw-ll_ucoco_384.onnx"


def config(keypoints: dict[str, Any] | None = None, init: dict[str, Any] | None = None) -> Config:
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    values = copy.deepcopy(values)
    values["features"] = {**values.get("features", {}), "keypoints": keypoints or {}}
    if keypoints is None:
        values["features"]["keypoints"] = {"estimator": "mediapipe"}
    if init is not None:
        values["streams"]["rgb"]["init"] = init
    return check_config(values)


@pytest.mark.parametrize("known", PUBLISHED, ids=lambda known: known.path)
def test_what_is_published_is_told_whole(known: Any) -> None:
    assert known.where.startswith("https://")
    assert known.licence
    assert known.use
    assert re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{8}|", known.sha256)
    # A name with digits of a digest: torchvision's and MMPose's.
    digits = re.search(r"-([0-9a-f]{8})(?=\.pth|_\d{8}\.pth)", known.file)
    if digits and not digits[1].startswith("2023"):
        assert known.sha256.startswith(digits[1])
    assert not known.model or known.model in KINDS
    assert known.path.endswith(".safetensors") == bool(known.model)
    assert known.where.endswith((known.archive or known.file, "models")) or "github" in known.where
    # The key is one of the config.
    section = known.key.split(".")[-1]
    assert f"| `{section}` |" in (ROOT / "docs/reference/config.md").read_text()


def test_no_two_files_are_put_in_one_place() -> None:
    assert len({known.path for known in PUBLISHED}) == len(PUBLISHED)


def test_the_shipped_configs_name_published_weights() -> None:
    for path in ROOT.glob("config/*.yaml"):
        for named in named_weights(check_config(yaml.safe_load(path.read_text()))):
            assert named.path in {known.path for known in PUBLISHED}


def test_all_weights_of_a_config_are_named() -> None:
    keypoints = {"estimator": "onnx", "model": {"path": "m.onnx"}, "detector": {"path": "d.onnx"}}
    init = {"path": f"weights/{KINETICS}", "sha256": "0" * 64}
    found = {named.key: named for named in named_weights(config(keypoints, init))}
    assert set(found) == {
        "features.keypoints.model",
        "features.keypoints.detector",
        "streams.rgb.init",
    }
    assert found["streams.rgb.init"].sha256 == "0" * 64
    assert found["streams.rgb.init"].model == "r2plus1d"
    assert list(named_weights(config())) == []


@pytest.mark.parametrize(
    ("path", "model", "said"),
    [
        (
            f"w/{KINETICS}",
            "r2plus1d",
            "get r2plus1d_18-91a641e6.pth from https://download.pytorch.org/models/r2plus1d_18-"
            "91a641e6.pth (BSD-3-Clause) and run `slr import-checkpoint --model r2plus1d r2plus1d_"
            f"18-91a641e6.pth w/{KINETICS}`",
        ),
        ("w/slgcn_bone.safetensors", "slgcn", "get 27_2.zip from https://github.com/jackyjsy/"),
        ("w/mine.safetensors", "vtn", "`slr import-checkpoint --model vtn SOURCE w/mine.safetens"),
        (f"w/{DWPOSE}", "", "get dw-ll_ucoco_384.onnx from https://huggingface.co/yzd-v/DWPose/"),
        (
            "w/yolox_m_8xb8-300e_humanart-c2c7a14a.onnx",
            "",
            "get yolox_m_8xb8-300e_humanart-c2c7a14a.zip from https://download.openmmlab.com/mmpose"
            "/v1/projects/rtmposev1/onnx_sdk/yolox_m_8xb8-300e_humanart-c2c7a14a.zip (Apache-2.0) "
            "and put its end2end.onnx there",
        ),
        ("w/mine.onnx", "", "get a file of docs/reference/weights.md, or mend the path"),
    ],
)
def test_it_is_said_which_file_to_get_and_where_to_put_it(path: str, model: str, said: str) -> None:
    assert how_to_get(path, model).startswith(said)


def test_missing_weights_stop_a_run_before_it_starts(tmp_path: Path) -> None:
    keypoints = {"estimator": "onnx", "model": {"path": f"weights/{DWPOSE}"}}
    changed = config(keypoints)
    table = load_samples(changed.data)
    with pytest.raises(ConfigError) as stopped:
        check_streams(changed, table)
    assert str(stopped.value).startswith(
        f"features.keypoints.model.path: weights/{DWPOSE} is not there; get dw-ll_ucoco_384.onnx"
    )
    init = config(init={"path": f"{tmp_path}/{KINETICS}"})
    with pytest.raises(ConfigError, match=r"streams\.rgb\.init\.path: .* and run `slr import-che"):
        check_streams(init, table)


def test_missing_weights_are_told_at_run_time_in_the_same_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"get dw-ll_ucoco_384\.onnx from https://huggingface"):
        check_sha256(tmp_path / DWPOSE, None)


def test_another_file_than_the_named_or_the_published_one_is_told(tmp_path: Path) -> None:
    path = tmp_path / DWPOSE
    path.write_bytes(b"truncated")
    found = hashlib.sha256(b"truncated").hexdigest()
    (named,) = named_weights(config({"estimator": "onnx", "model": {"path": str(path)}}))
    assert missing(named) is None
    problem = mismatch(named, found)
    assert problem is not None
    assert f"{path} has SHA-256 {found}, the published file 724f4ff2439e" in problem
    assert mismatch(named, published_sha256(DWPOSE)) is None
    model = {"path": str(path), "sha256": "0" * 64}
    (named,) = named_weights(config({"estimator": "onnx", "model": model}))
    assert "expected 0000" in (mismatch(named, found) or "")
    # What is converted has a digest of its own.
    (named,) = named_weights(config(init={"path": KINETICS}))
    assert mismatch(named, found) is None


def test_a_file_that_is_not_what_its_name_says_is_not_imported(tmp_path: Path) -> None:
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
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    values["features"] = {
        "keypoints": {
            "estimator": "onnx",
            "model": {"path": str(good), "sha256": digest},
            "detector": {"path": str(other)},
        }
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(values))

    with pytest.raises(SystemExit) as ended:
        main(["weights", "check", str(path)])
    assert ended.value.code == 1
    printed = capsys.readouterr()
    rows = {line.split()[1]: line.split() for line in printed.out.splitlines()}
    assert rows["features.keypoints.model:"] == [
        "ok",
        "features.keypoints.model:",
        str(good),
        digest,
    ]
    assert rows["features.keypoints.detector:"][0] == "missing"
    (line,) = printed.err.splitlines()
    assert line.startswith(f"error: features.keypoints.detector.path: {other} is not there; get yo")

    other.write_bytes(b"something else")
    with pytest.raises(SystemExit):
        main(["weights", "check", str(path)])
    assert "bad     features.keypoints.detector" in capsys.readouterr().out

    values["features"]["keypoints"]["detector"] = None
    path.write_text(yaml.safe_dump(values))
    main(["weights", "check", str(path)])
    assert capsys.readouterr().err == ""
