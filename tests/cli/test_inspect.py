"""`slr inspect`: the facts about each kind of file."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from slr_pipeline.cli.main import main
from slr_pipeline.io.container import seal
from slr_pipeline.io.feature_writer import NewClip
from slr_pipeline.io.features import FORMAT
from slr_pipeline.io.logits import write_logits
from slr_pipeline.io.models import save_model, save_weights
from slr_pipeline.io.provenance import provenance
from slr_pipeline.scoring.logits import Logits
from tests.feature_files import write_feature

Refused = Callable[..., str]
ABOUT = {"estimator": "some-1.0", "weights_sha256": "0123456789abcdef" * 4}


def inspected(capsys: pytest.CaptureFixture[str], path: Path) -> dict[str, str]:
    """The facts by name, as printed."""
    main(["inspect", str(path)])
    lines = capsys.readouterr().out.splitlines()
    assert 5 <= len(lines) <= 12
    return dict(line.split(maxsplit=1) for line in lines)


@pytest.fixture
def keypoints(tmp_path: Path) -> Path:
    clips = [
        NewClip("a", np.zeros((5, 133, 3), np.float32), 640, 480, 25.0),
        NewClip("b"),
        NewClip("c", np.zeros((7, 133, 3), np.float32), 512, 512, 29.97),
    ]
    path = tmp_path / "all.h5"
    made = provenance(settings={"smoothing": None}, inputs={"a": "f" * 64})
    write_feature(path, "keypoints", clips, {**ABOUT, "mirrored": False}, made)
    return path


def test_features(keypoints: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspected(capsys, keypoints) == {
        "format": "slr-feature, version 2: keypoints",
        "samples": "3, 1 of them quarantined",
        "frames": "12; 5 to 7 per sample",
        "values": "(12, 133, 3) float32, (frame, keypoint, channel): px, px, score in [0, 1]",
        "arrays": "digest (3) str, fps (3) float64, keypoint (133) str, offset (4) int64, "
        "sample (3) str, size (3, 2) int32",
        "videos": "512 x 512, 640 x 480 px, 25, 29.97 frames per second",
        "estimator": "some-1.0, weights 0123456789ab",
        "attributes": "mirrored False",
        "settings": '{"smoothing": null}',
        "package": "slr_pipeline 0.1.0",
        "size": f"{keypoints.stat().st_size:,} bytes, complete",
    }


def test_pictures_of_no_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "frames.h5"
    write_feature(path, "frames", [NewClip("a")], ABOUT, provenance())
    facts = inspected(capsys, path)
    assert facts["frames"] == "0"
    assert facts["values"] == (
        "(0) uint8, JPEGs of (256, 256, 3) per frame, (frame, y, x, channel): sRGB"
    )
    assert facts["attributes"] == "clips_without_person 0, codec jpeg, quality 90, subsampled True"


def test_logits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "logits.h5"
    values, answered = np.zeros((3, 2), np.float32), np.array([True, False, True])
    logits = Logits(("a", "b", "c"), values, answered, ("ağaç", "ev"), "strict")
    write_logits(path, logits, provenance(weights_sha256="abc"))
    assert inspected(capsys, path) == {
        "format": "slr-logits, version 1",
        "protocol": "strict",
        "samples": "3, 1 of them not answered",
        "classes": "2: ağaç, ev",
        "values": "(3, 2) float32, raw logits",
        "settings": '{"weights_sha256": "abc"}',
        "package": "slr_pipeline 0.1.0",
        "size": f"{path.stat().st_size:,} bytes, complete",
    }


def test_a_model_and_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: Refused
) -> None:
    path = tmp_path / "model.safetensors"
    state = {"a": torch.zeros(3, 4), "b": torch.zeros(())}
    sidecar = {
        "stream": {"model": "slgcn", "width": 16, "training": {"epochs": 9, "patience": None}},
        "classes": [f"sign {number}" for number in range(9)],
        "phase": "train",
        "protocol": "strict",
        "seed": 1,
        "epoch": 7,
        "metrics": {"epoch": 7, "val_accuracy": 0.5},
        "estimator": ABOUT,
        "provenance": provenance(),
    }
    save_model(path, state, sidecar)
    facts = inspected(capsys, path)
    assert facts["format"] == "slr-model, version 1: slgcn"
    assert facts["weights"] == "13 numbers in 2 tensors"
    assert facts["classes"].startswith("9: sign 0, ")
    assert facts["classes"].endswith("sign 7, ...")
    assert facts["trained"] == "phase train, protocol strict, seed 1"
    assert facts["epoch"] == "7: val_accuracy 0.5"
    assert facts["estimator"] == "some-1.0, weights 0123456789ab"
    assert json.loads(facts["settings"]) == {"model": "slgcn", "width": 16}
    assert json.loads(facts["training"]) == {"epochs": 9}
    other = tmp_path / "weights.safetensors"
    save_weights(other, state, {"model": "slgcn", "source": "released", "classes": "226"})
    facts = inspected(capsys, other)
    assert (facts["format"], facts["source"]) == ("slr-weights", "released")

    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    assert "train the stream again" in refused("inspect", path)
    other.write_bytes(b"short")
    assert "not a whole safetensors file" in refused("inspect", other)


def test_every_byte_is_checked(keypoints: Path, refused: Refused) -> None:
    whole = keypoints.read_bytes()
    for place in (0, len(whole) // 2, len(whole) - 1):
        keypoints.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        line = refused("inspect", keypoints)
        assert line.startswith(f"{keypoints}: not a complete file of this version (")
        assert line.endswith("; if it belongs to a run, delete it and run again")
    keypoints.write_bytes(whole[:-100])
    assert "it ends without its seal, so it is short, " in refused("inspect", keypoints)


@pytest.mark.parametrize(
    ("attributes", "line"),
    [
        ({"format": "other"}, "format is 'other', expected slr-feature or slr-logits; open it"),
        ({"format": FORMAT, "feature": "keypoints", "version": 0}, "version is "),
        ({"format": FORMAT, "feature": "smell"}, "not a whole smell file ('smell')"),
        ({"format": "slr-logits", "version": 9}, "expected slr-logits version 1, found ("),
    ],
)
def test_foreign_and_older_files_are_one_line(
    attributes: dict[str, str | int], line: str, tmp_path: Path, refused: Refused
) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file.attrs.update(attributes)
    seal(path)
    assert refused("inspect", path).startswith(f"{path}: {line}")


def test_tables_submissions_and_documents(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def facts(name: str, text: str) -> dict[str, str]:
        (tmp_path / name).write_text(text, encoding="utf-8")
        main(["inspect", str(tmp_path / name)])
        lines = capsys.readouterr().out.splitlines()
        return dict(re.split("  +", line, maxsplit=1) for line in lines)

    table = facts("quality.csv", "sample,frames,jitter\nağaç_1,12,0.5\nb,0,\nc,3,0.25\n")
    assert table == {
        "format": "table (CSV)",
        "rows": "3",
        "columns": "sample (text), frames (whole numbers), jitter (numbers)",
        "empty cells": "jitter 1",
        "row 1": "ağaç_1, 12, 0.5",
        "row 2": "b, 0, ",
        "size": "51 bytes",
    }
    submission = facts("submission.csv", "a,1\nb,2\n")
    assert submission["format"] == "submission: name,label without a header"
    assert submission["rows"] == "2"
    document = facts("metrics.json", json.dumps({"top1": 0.5, "sign": "ağaç", "all": [1] * 99}))
    assert document["top1"] == "0.5"
    assert document["sign"] == '"ağaç"'
    assert document["all"] == f"[{'1, ' * 33}..."


def test_wrong_paths_are_one_line(tmp_path: Path, refused: Refused) -> None:
    assert refused("inspect", tmp_path).endswith(": there is no such file; check the path")
    for name, line in (
        ("a.txt", "expected a file that ends in .h5, .safetensors, .csv, .json"),
        ("a.csv", "not a CSV table (No columns to parse from file)"),
        ("a.json", "no JSON object (Expecting value"),
        ("empty.h5", "not a complete file of this version"),
    ):
        (tmp_path / name).touch()
        assert line in refused("inspect", tmp_path / name)
