"""What a training refuses, each in one line that says where and what."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from slr_pipeline.config.experiment import check_stream
from slr_pipeline.config.recipes import Phase
from slr_pipeline.config.streams import weights_settings
from slr_pipeline.errors import ArtifactError, DataError
from slr_pipeline.io.duplicates import write_duplicates
from slr_pipeline.io.feature_writer import NewClip
from slr_pipeline.io.features import open_features
from slr_pipeline.io.models import save_model
from slr_pipeline.samples.duplicates import Twins, duplicates_of
from slr_pipeline.samples.table import Sample, SampleTable
from slr_pipeline.schema import FEATURES
from slr_pipeline.steps.train import (
    check_classes,
    common_frames,
    copies,
    fingerprint,
    labelled,
    start_weights,
)
from slr_pipeline.training.streams import build_model
from tests.feature_files import write_feature

STREAM = check_stream({"model": "slgcn", "width": 16})


def table(*labels: int | None) -> SampleTable:
    samples = tuple(
        Sample(name=f"s{i}", split="train", label=label, signer=None, color="x", depth=None)
        for i, label in enumerate(labels)
    )
    return SampleTable(classes=("hello", "thanks", "home"), samples=samples)


def features(folder: Path, **frames: int):
    """Feature stores with the given number of frames per sample; s2 is quarantined."""
    paths = []
    for feature, T in frames.items():
        schema = FEATURES[feature]
        counts = dict.fromkeys(schema.counts, 0)
        clips = [
            NewClip(name, np.zeros((T, *schema.shape), np.float32), 9, 9, 25.0, counts=counts)
            for name in ("s0", "s1")
        ]
        paths.append(folder / f"{feature}.h5")
        write_feature(paths[-1], feature, [*clips, NewClip("s2")], {}, {})
    return open_features(paths)


def test_labelled_samples_with_frames_are_trained_on(tmp_path: Path) -> None:
    stores = features(tmp_path, keypoints=3, pose_flow=3)
    assert labelled(table(0, 1, 2), stores, ("train",)) == [("s0", 0), ("s1", 1)]
    assert labelled(table(None, 1, 2), stores, ("train", "val")) == [("s1", 1)]
    with pytest.raises(DataError, match=r"^train: no labelled sample has frames; see results/quar"):
        labelled(table(None, None, 2), stores, ("train",))


def test_copies_of_predicted_clips_are_left_out(tmp_path: Path) -> None:
    train = table(0, 1, 2, 0)
    others = [replace(train.samples[0], name=split, split=split) for split in ("val", "test")]
    samples = SampleTable(train.classes, (*train.samples, *others))
    twins = [Twins(*pair, "near", 0.1) for pair in (("s0", "val"), ("s1", "test"), ("s2", "s3"))]
    path = str(tmp_path / "duplicates.csv")
    write_duplicates(path, duplicates_of(samples, twins))
    assert copies(samples, ("train",), [], path) == {"s0", "s1"}
    assert copies(samples, ("train", "val"), [], path) == {"s1"}
    assert copies(samples, ("train",), ["s2"], path) == {"s0", "s1", "s3"}  # a fold without s2
    assert copies(samples, ("train",), [], None) == set()


def test_features_of_unequal_length_name_sample_and_files(tmp_path: Path) -> None:
    stores = features(tmp_path, keypoints=3, pose_flow=4)
    with pytest.raises(DataError, match=r"^s1: unequal numbers of frames: 3 in .*keypoints\.h5, 4"):
        common_frames(stores, "s1")
    with pytest.raises(ArtifactError, match="sample s7 is in none of the keypoints files"):
        common_frames(stores, "s7")


def test_a_class_without_samples_is_named() -> None:
    with pytest.raises(DataError, match=r"^2 of 3 classes have no training sample: 0 \(hello\), 2"):
        check_classes(table(1), [("s0", 1)], left_out=False)
    check_classes(table(0, 1, 2), [("s0", 0), ("s1", 1), ("s2", 2)], left_out=True)


def test_weights_of_other_classes_are_no_start_for_finetuning(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = build_model(STREAM, classes=3)
    path = tmp_path / "model.safetensors"
    save_model(path, model.state_dict(), {"classes": ["hello", "thanks", "bye"]})
    start_weights(STREAM, "train", path, table(0))
    with pytest.raises(DataError, match="its classes are not those of the sample table"):
        start_weights(STREAM, "finetune", path, table(0))
    other = build_model(check_stream({"model": "slgcn", "width": 32}), classes=3)
    save_model(path, other.state_dict(), {"classes": ["hello", "thanks", "home"]})
    with pytest.raises(ArtifactError, match=r"model\.safetensors") as caught:
        start_weights(STREAM, "finetune", path, table(0))
    assert "classifier.weight" in str(caught.value)


def test_a_wrong_digest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, build_model(STREAM, classes=3).state_dict(), {"classes": []})
    init = {"path": str(path), "sha256": "0" * 64}
    stream = check_stream({"model": "slgcn", "width": 16, "init": init})
    with pytest.raises(ArtifactError, match=r"0{64}"):
        start_weights(stream, "train", path, table(0))


def test_evaluation_settings_do_not_change_the_weights() -> None:
    def settings(phase: Phase, training: object = None, **changes: object) -> dict[str, Any]:
        section = {"model": "r2plus1d", "feature": "frames", **changes}
        return weights_settings(check_stream({**section, "training": training or {}}), phase)

    for phase in ("train", "finetune"):
        same = settings(phase)
        assert settings(phase, test_clips=9, test_speeds=[0.9], test_mirror=True, seeds=3) == same
        assert settings(phase, {"overfit_steps": 7, "chance_epochs": None}) == same
        assert settings(phase, {"epochs": 7}) != same
        assert settings(phase, size=64) != same
        assert (settings(phase, finetune={"epochs": 7}) == same) == (phase == "train")


def test_a_state_belongs_to_one_training() -> None:
    about = {"stream": STREAM.model_dump(), "seed": 1}
    first = fingerprint(about, [("s0", 0)])
    assert fingerprint(about, [("s0", 0)]) == first
    assert fingerprint({**about, "seed": 2}, [("s0", 0)]) != first
    assert fingerprint(about, [("s0", 1)]) != first
