"""Feature files (docs/reference/artifacts.md): atomic, reproducible, and what is refused."""

import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.container import seal
from slr_pipeline.io.feature_writer import NewClip
from slr_pipeline.io.features import (
    MOST_OPEN_FILES,
    FeatureFile,
    FeatureStore,
    check_estimator,
    open_features,
)
from slr_pipeline.schema import FEATURES
from tests.feature_files import write_feature

FRAMES = {"a": 5, "quarantined": 0, "b": 1, "c": 200}


def clips(seed: int = 1) -> list[NewClip]:
    rng = np.random.default_rng(seed)
    return [
        NewClip(name, rng.random((frames, 133, 3), np.float32), 640, 480, 25.0)
        for name, frames in FRAMES.items()
    ]


def write(path: Path, actual: list[NewClip]) -> Path:
    write_feature(path, "keypoints", actual, {"mirrored": False}, {"settings": {}})
    return path


def test_every_sample_is_read_back_by_name(tmp_path: Path) -> None:
    store = FeatureStore("keypoints", [write(tmp_path / "all.h5", clips())])
    for clip in reversed(clips()):
        actual = store.read(clip.sample)
        np.testing.assert_array_equal(actual.values, clip.frames)
        assert (actual.width, actual.height, actual.fps) == (640, 480, 25.0)
        assert store.frames(clip.sample) == FRAMES[clip.sample]


@pytest.mark.parametrize("feature", ["keypoints", "heatmaps", "pose_flow"])
def test_keypoints_are_named_in_the_order_of_the_values(tmp_path: Path, feature: str) -> None:
    write_feature(tmp_path / "a.h5", feature, [NewClip("a")])
    with h5py.File(tmp_path / "a.h5") as file:
        names = file["keypoint"].asstr()[:].tolist()
    assert (names[0], names[-1]) == ("nose", "right_pinky_finger4")
    assert len(set(names)) == len(names)
    assert len(names) == FEATURES[feature].shape[0] // (2 if feature == "pose_flow" else 1)


def test_a_rate_other_than_that_of_the_video_is_kept(tmp_path: Path) -> None:
    values = np.zeros((4, 133, 3), np.float32)
    fast = [NewClip("a", values, 9, 9, 60.0, rate=30.0), NewClip("b", values, 9, 9, 25.0)]
    store = FeatureStore("keypoints", [write(tmp_path / "all.h5", fast)])
    assert [(store.fps(n), store.read(n).fps, store.read(n).video_fps) for n in "ab"] == [
        (30.0, 30.0, 60.0),
        (25.0, 25.0, 25.0),
    ]


def test_the_same_clips_give_the_same_bytes(tmp_path: Path) -> None:
    first = write(tmp_path / "1.h5", clips()).read_bytes()
    assert write(tmp_path / "2.h5", clips()).read_bytes() == first
    assert write(tmp_path / "3.h5", clips(seed=2)).read_bytes() != first


def test_a_store_survives_pickling_with_open_files(tmp_path: Path) -> None:
    store = FeatureStore("keypoints", [write(tmp_path / "all.h5", clips())])
    store.read("a")
    copied = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(copied.read("c").values, clips()[3].frames)


def test_a_failed_write_leaves_the_old_file_and_no_partial(tmp_path: Path) -> None:
    path = write(tmp_path / "all.h5", clips())
    before = path.read_bytes()

    def broken():
        yield from clips()[:2]
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_feature(path, "keypoints", broken(), {}, {})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["all.h5"]


def test_a_store_keeps_a_bounded_number_of_files_open(tmp_path: Path) -> None:
    shards = MOST_OPEN_FILES + 6
    small = [NewClip(f"s{n}", np.full((1, 106), n, np.float32), 9, 9, 25.0) for n in range(shards)]
    paths = [tmp_path / f"{clip.sample}.h5" for clip in small]
    for path, clip in zip(paths, small, strict=True):
        write_feature(path, "pose_flow", [clip])
    store = FeatureStore("pose_flow", paths)
    before = len(os.listdir("/proc/self/fd"))
    for clip in (*small, *reversed(small)):
        np.testing.assert_array_equal(store.read(clip.sample).values, clip.frames)
        assert len(os.listdir("/proc/self/fd")) - before <= MOST_OPEN_FILES
    assert len(os.listdir("/proc/self/fd")) - before == MOST_OPEN_FILES


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (np.zeros((2, 132, 3), np.float32), "expected frames"),
        (np.zeros((2, 133, 3), np.float64), "expected frames"),
        (np.full((2, 133, 3), np.nan, np.float32), "NaN or infinite"),
    ],
)
def test_values_outside_the_schema_are_refused(
    tmp_path: Path, values: np.ndarray, line: str
) -> None:
    with pytest.raises(ArtifactError, match=f"sample a: .*{line}"):
        write(tmp_path / "all.h5", [NewClip("a", values, 1, 1, 1.0)])
    assert list(tmp_path.iterdir()) == []


def test_a_doubled_sample_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="index and values disagree"):
        write(tmp_path / "all.h5", [clips()[0], clips()[0]])
    paths = [write(tmp_path / f"{number}.h5", clips()) for number in (1, 2)]
    with pytest.raises(ArtifactError, match="sample a is also in"):
        FeatureStore("keypoints", paths)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("format", "other"), ("format", None), ("feature", "hand_crops"), ("version", 999)],
)
def test_a_foreign_file_is_refused(tmp_path: Path, attribute: str, value: str | int | None) -> None:
    path = write(tmp_path / "all.h5", clips())
    with h5py.File(path, "r+") as file:
        file.attrs.pop(attribute)
        if value is not None:
            file.attrs[attribute] = value
    seal(path)
    with pytest.raises(ArtifactError, match=f"{attribute} is .* delete the file and run again"):
        FeatureFile(path, "keypoints")


@pytest.mark.parametrize("dataset", ["sample", "offset", "size", "fps", "values", "picture", "box"])
def test_a_file_without_a_dataset_is_refused(tmp_path: Path, dataset: str) -> None:
    path = tmp_path / "all.h5"
    write_feature(path, "hand_crops", [NewClip("a")])
    with h5py.File(path, "r+") as file:
        del file[dataset]
    seal(path)
    with pytest.raises(ArtifactError, match="delete it and run again"):
        FeatureFile(path, "hand_crops")


def test_quarantined_samples_have_no_frames_whatever_the_file_holds(tmp_path: Path) -> None:
    path = write(tmp_path / "all.h5", clips())
    store = FeatureStore("keypoints", [path], quarantined={"c", "elsewhere"})
    assert [store.frames(name) for name in store.samples] == [5, 0, 1, 0]
    assert store.read("c").values.shape == (0, 133, 3)
    assert len(store.read("b").values) == 1
    plain = FeatureStore("keypoints", [path])
    assert store.digest() != plain.digest()
    assert FeatureStore("keypoints", [path], {"elsewhere"}).digest() == plain.digest()


def test_a_mixture_of_estimators_is_refused_with_both_names(tmp_path: Path) -> None:
    mediapipe = "mediapipe-0.10.21-holistic"

    def made_by(name: str, estimator: str, weights: str, feature: str = "keypoints") -> Path:
        path = tmp_path / f"{name}.h5"
        frames = np.zeros((2, *FEATURES[feature].shape), np.float32)
        attributes = {"estimator": estimator, "weights_sha256": weights * 64}
        write_feature(path, feature, [NewClip(name, frames, 9, 9, 25.0)], attributes, {})
        return path

    ours, other = made_by("ours", mediapipe, "a"), made_by("other", "rtmw-l", "b")
    store = FeatureStore("keypoints", [ours, made_by("same", mediapipe, "a")])
    assert store.estimator == {"estimator": mediapipe, "weights_sha256": "a" * 64}
    with pytest.raises(ArtifactError) as mixed:
        FeatureStore("keypoints", [ours, other])
    for word in (str(ours), str(other), "rtmw-l (weights bbbb", f"{mediapipe} (weights aaaa"):
        assert word in str(mixed.value)
    assert len(str(mixed.value).splitlines()) == 1
    with pytest.raises(ArtifactError, match=r"weights cccccccccccc.*weights aaaaaaaaaaaa"):
        FeatureStore("keypoints", [ours, made_by("weights", mediapipe, "c")])
    # Two features of one stream.
    open_features([ours, made_by("fine", mediapipe, "a", "pose_flow")])
    with pytest.raises(ArtifactError, match=r"rtmw-l .*mediapipe-0\.10\.21-holistic"):
        open_features([ours, made_by("flow", "rtmw-l", "b", "pose_flow")])
    # A model and the features it reads.
    check_estimator("model.safetensors", store.estimator, store)
    with pytest.raises(ArtifactError, match=r"rtmw-l .*model\.safetensors of mediapipe"):
        check_estimator("model.safetensors", store.estimator, FeatureStore("keypoints", [other]))
