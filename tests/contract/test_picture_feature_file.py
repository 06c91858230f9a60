"""docs/reference/artifacts.md: features whose frames are JPEG pictures with boxes and counts."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.feature_writer import NewClip
from slr_pipeline.io.features import FeatureFile, FeatureStore
from slr_pipeline.io.jpeg import JPEG, Jpeg
from slr_pipeline.schema import FEATURES
from tests.feature_files import write_feature

FRAMES = {"a": 5, "quarantined": 0, "b": 1, "c": 40}
PICTURES = [name for name, schema in FEATURES.items() if schema.pictures]


def frames(feature: str, sample: str) -> np.ndarray:
    """Smooth pictures that differ from frame to frame, picture to picture and sample to sample."""
    shape = (FRAMES[sample], *FEATURES[feature].shape)
    rng = np.random.default_rng(sorted(FRAMES).index(sample))
    values = rng.integers(40, 200, (shape[0], *[1] * (len(shape) - 1)))
    y = np.arange(256)[:, None]
    ramp = y // 8 if shape[-1] == 256 else (y // 8)[..., None]
    colours = np.arange(shape[-1]) * 5 if shape[-1] == 3 else 0
    hands = np.arange(2).reshape(2, 1, 1, *[1] * (shape[-1] == 3)) * 9 if shape[1] == 2 else 0
    return np.broadcast_to(values + ramp + colours + hands, shape).astype(np.uint8)


def clips(feature: str) -> Iterator[NewClip]:
    schema = FEATURES[feature]
    for sample, count in FRAMES.items():
        if count == 0:
            yield NewClip(sample)
            continue
        boxes = np.arange(count * schema.boxes * 4, dtype=np.int32).reshape(count, -1, 4)
        counts = dict.fromkeys(schema.counts, count)
        values = frames(feature, sample)
        yield NewClip(sample, (v for v in values), 640, 480, 25.0, boxes=boxes, counts=counts)


def write(path: Path, feature: str, jpeg: Jpeg = JPEG["corrected"]) -> Path:
    write_feature(path, feature, clips(feature), {}, {}, jpeg)
    return path


@pytest.mark.parametrize("feature", PICTURES)
def test_pictures_are_read_back_by_name(tmp_path: Path, feature: str) -> None:
    store = FeatureStore(feature, [write(tmp_path / "all.h5", feature)])
    for sample, count in reversed(FRAMES.items()):
        clip = store.read(sample)
        assert clip.values.shape == (count, *FEATURES[feature].shape)
        assert clip.values.dtype == np.uint8
        expected = frames(feature, sample).astype(int)
        if count:
            assert np.abs(clip.values - expected).mean() < 3
        assert clip.boxes.shape == (count, FEATURES[feature].boxes, 4)
        assert clip.boxes.ravel().tolist() == list(range(clip.boxes.size))
    for name in FEATURES[feature].counts:
        assert FeatureFile(tmp_path / "all.h5", feature).attributes[name] == sum(FRAMES.values())
        with h5py.File(tmp_path / "all.h5") as file:
            assert file[name][:].tolist() == list(FRAMES.values())


@pytest.mark.parametrize("feature", ["frames", "hand_crops", "flow"])
def test_some_frames_equal_those_of_the_whole_clip(tmp_path: Path, feature: str) -> None:
    store = FeatureStore(feature, [write(tmp_path / "all.h5", feature)])
    whole = store.read("c")
    chosen = [39, 0, 7, 7]
    some = store.read("c", chosen)
    np.testing.assert_array_equal(some.values, whole.values[chosen])
    np.testing.assert_array_equal(some.boxes, whole.boxes[chosen])
    assert len(store.read("c", []).values) == 0
    for outside in ([40], [-1]):
        with pytest.raises(IndexError, match="c: frames"):
            store.read("c", outside)


def test_the_same_clips_give_the_same_bytes(tmp_path: Path) -> None:
    first = write(tmp_path / "1.h5", "hha").read_bytes()
    assert write(tmp_path / "2.h5", "hha").read_bytes() == first
    assert write(tmp_path / "3.h5", "hha", Jpeg(90, subsampled=False)).read_bytes() != first


def test_the_codec_is_recorded_and_uses_opencvs_defaults(tmp_path: Path) -> None:
    path = write(tmp_path / "all.h5", "frames", JPEG["published"])
    with h5py.File(path) as file:
        named = {name: file.attrs[name] for name in ("codec", "quality", "subsampled")}
        stored = file["values"][: file["picture"][1]].tobytes()
    assert named == {"codec": "jpeg", "quality": 95, "subsampled": True}
    bgr = cv2.cvtColor(frames("frames", "a")[0], cv2.COLOR_RGB2BGR)
    assert stored == cv2.imencode(".jpg", bgr)[1].tobytes()


def test_frames_are_written_one_by_one(tmp_path: Path) -> None:
    """At most a few frames of a long clip are in memory."""
    alive = most = 0

    class Counted(np.ndarray):
        def __del__(self) -> None:
            nonlocal alive
            if self.base is None:
                alive -= 1

    def pictures() -> Iterator[np.ndarray]:
        nonlocal alive, most
        for _ in range(300):
            alive += 1
            most = max(most, alive)
            yield Counted((256, 256, 3), np.uint8)

    boxes = np.zeros((300, 1, 4), np.int32)
    clip = NewClip("long", pictures(), 9, 9, 25.0, boxes=boxes, counts={"clips_without_person": 0})
    write_feature(tmp_path / "long.h5", "frames", [clip], {}, {})
    assert FeatureStore("frames", [tmp_path / "long.h5"]).frames("long") == 300
    assert most <= 3


@pytest.mark.parametrize(
    ("feature", "clip", "line"),
    [
        ("frames", NewClip("a", np.zeros((2, 255, 256, 3), np.uint8)), "expected frames"),
        ("flow", NewClip("a", np.zeros((2, 2, 256, 256), np.float32)), "expected frames"),
        ("frames", NewClip("a", np.zeros((2, 256, 256, 3), np.uint8)), "do not fit 2 frames"),
        ("heatmaps", NewClip("a", np.zeros((59, 33, 24, 24), np.uint8)), "expected 60 frames"),
    ],
)
def test_clips_outside_the_schema_are_refused(
    tmp_path: Path, feature: str, clip: NewClip, line: str
) -> None:
    with pytest.raises(ArtifactError, match=f"sample a: .*{line}"):
        write_feature(tmp_path / "all.h5", feature, [clip], {}, {})
    assert list(tmp_path.iterdir()) == []
