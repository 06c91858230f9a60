"""The feature steps on clips of any length and size, with nobody, no hands, no depth."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from slr_pipeline.config.features import (
    FidelitySettings,
    FlowSettings,
    HeatmapsSettings,
    HhaSettings,
)
from slr_pipeline.errors import DataError
from slr_pipeline.features.heatmaps import draw_heatmaps
from slr_pipeline.io.feature_writer import NewClip
from slr_pipeline.io.features import FeatureFile, FeatureStore
from slr_pipeline.io.verified import Verified, read_verified, write_verified
from slr_pipeline.io.video import sha256_of
from slr_pipeline.samples.segments import Segment
from slr_pipeline.schema import DEPTH_FEATURES, FEATURES, Fidelity
from slr_pipeline.skeleton import LEFT_HAND, RIGHT_HAND
from slr_pipeline.steps.flow import flow
from slr_pipeline.steps.frames import frames
from slr_pipeline.steps.hand_crops import hand_crops
from slr_pipeline.steps.heatmaps import heatmaps
from slr_pipeline.steps.hha import hha
from slr_pipeline.steps.pose_flow import pose_flow
from tests.feature_files import write_feature
from tests.videos import write

LENGTHS = (1, 2, 15, 16, 17, 31, 32, 33, 59, 60, 61, 149, 150, 151, 1000)
SIZES = ((1280, 720), (320, 240), (511, 513))
MADE = [feature for feature in FEATURES if feature != "keypoints"]


@dataclass(frozen=True)
class Shard:
    """A verify table and its keypoints."""

    folder: Path

    @property
    def verified(self) -> str:
        return str(self.folder / "verified.csv")

    @property
    def keypoints(self) -> str:
        return str(self.folder / "keypoints.h5")

    def make(self, feature: str, fidelity: Fidelity = "corrected") -> FeatureStore:
        """Run the step of a feature."""
        out = str(self.folder / f"{feature}_{fidelity}.h5")
        plain = FidelitySettings(fidelity=fidelity)
        flows = FlowSettings(fidelity=fidelity, working_px=64)
        where = (self.verified, self.keypoints, out)
        steps: dict[str, Callable[[], None]] = {
            "frames": lambda: frames(plain, *where),
            "hand_crops": lambda: hand_crops(plain, "hand_crops", *where),
            "depth_hand_crops": lambda: hand_crops(plain, "depth_hand_crops", *where),
            "pose_flow": lambda: pose_flow(plain, *where),
            "flow": lambda: flow(flows, "flow", *where),
            "depth_flow": lambda: flow(flows, "depth_flow", *where),
            "hha": lambda: hha(HhaSettings(fidelity=fidelity), *where),
            "heatmaps": lambda: heatmaps(HeatmapsSettings(fidelity=fidelity), *where),
        }
        steps[feature]()
        return FeatureStore(feature, [out])


def write_grey(path: str, pictures: Iterable[np.ndarray]) -> None:
    """Lossless, of any size."""
    colours = (np.stack([picture] * 3, axis=-1) for picture in pictures)
    write(Path(path), colours, codec="ffv1", pixels="bgr0")


def scene(t: int, width: int, height: int) -> np.ndarray:
    """A grey square on black that moves in the first frames."""
    picture = np.zeros((height, width), np.uint8)
    x = width // 4 + 2 * min(t, 4)
    picture[height // 4 : height // 2, x : x + width // 4] = 90 + np.arange(width // 4) % 60
    return picture


def person(T: int, width: int, height: int) -> np.ndarray:
    """Keypoints of a person in the middle of the picture who moves a little."""
    rng = np.random.default_rng(T)
    keypoints = np.ones((T, 133, 3), np.float32)
    places = rng.uniform(0.3, 0.7, (133, 2))
    places[9:11] = 0.375, 0.375  # wrists on the square of the scene
    keypoints[..., :2] = places * (width, height) + rng.normal(0, 1, (T, 133, 2))
    return keypoints


def make_shard(folder: Path, clips: dict[str, tuple[np.ndarray, int, int]], **greys: int) -> Shard:
    """Write videos and keypoints of clips (keypoints, width, height); `greys` give flat depth."""
    rows = []
    for name, (keypoints, width, height) in clips.items():
        color = depth = str(folder / f"{name}.mkv")  # the grey scene is its own depth
        T = len(keypoints)
        write_grey(color, (scene(t, width, height) for t in range(T)))
        if name in greys:
            depth = str(folder / f"{name}_depth.mkv")
            write_grey(depth, [np.full((height, width), greys[name], np.uint8)] * T)
        row = Verified(name, color, depth, "", frames=T, width=width, height=height, fps=25)
        rows.append(replace(row, color_sha256=sha256_of(color), depth_sha256=sha256_of(depth)))
    rows.append(Verified("gone", "gone.mp4", "gone.mp4", "there is no such file"))
    shard = Shard(folder)
    write_verified(shard.verified, rows)
    actual = [NewClip(name, k, width, height, 25.0) for name, (k, width, height) in clips.items()]
    write_feature(shard.keypoints, "keypoints", [*actual, NewClip("gone")], {}, {})
    return shard


@pytest.fixture(scope="module")
def lengths(tmp_path_factory: pytest.TempPathFactory) -> Shard:
    clips = {f"t{T}": (person(T, 64, 48), 64, 48) for T in LENGTHS}
    return make_shard(tmp_path_factory.mktemp("lengths"), clips)


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> Shard:
    clips = {f"{w}x{h}": (person(3, w, h), w, h) for w, h in SIZES}
    return make_shard(tmp_path_factory.mktemp("sizes"), clips)


def absent(*parts: range) -> np.ndarray:
    keypoints = person(4, 512, 512)
    for part in parts or (range(133),):
        keypoints[:, list(part)] = 0
    return keypoints


@pytest.fixture(scope="module")
def lacking(tmp_path_factory: pytest.TempPathFactory) -> Shard:
    """512 x 512: nobody; no hands and wrists; a person with zero or flat depth."""
    clips = {
        "nobody": absent(),
        "handless": absent(LEFT_HAND, RIGHT_HAND, range(9, 11)),
        "depthless": person(4, 512, 512),
        "flat": person(4, 512, 512),
    }
    sized = {name: (keypoints, 512, 512) for name, keypoints in clips.items()}
    return make_shard(tmp_path_factory.mktemp("lacking"), sized, depthless=0, flat=200)


def check(store: FeatureStore, shard: Shard) -> None:
    """Every row has its T and finite values."""
    rows = read_verified(shard.verified)
    schema = FEATURES[store.feature]
    assert store.samples == tuple(row.sample for row in rows)
    for row in rows:
        clip = store.read(row.sample)
        T = len(row.feature_frames())
        T = schema.frames if schema.frames and T else T
        assert clip.values.shape == (T, *schema.shape), row.sample
        assert clip.boxes.shape == (T, schema.boxes, 4)
        assert (clip.width, clip.height) == (row.width, row.height)
        assert np.isfinite(clip.values.astype(np.float32)).all()


@pytest.mark.parametrize("feature", MADE)
def test_clips_of_any_length(lengths: Shard, feature: str) -> None:
    store = lengths.make(feature)
    check(store, lengths)
    for T in LENGTHS[1:]:
        clip = store.read(f"t{T}")
        assert np.ptp(clip.values) > 0, T
        if feature in ("flow", "depth_flow"):
            assert (clip.values[0] == 128).all()
            assert (clip.values[1] != 128).any()
            assert (clip.values[5:] == 128).all()  # no movement from there on


@pytest.mark.parametrize("feature", MADE)
def test_clips_of_any_size(sizes: Shard, feature: str) -> None:
    store = sizes.make(feature)
    check(store, sizes)
    for width, height in SIZES:
        assert np.ptp(store.read(f"{width}x{height}").values) > 0


@pytest.mark.parametrize("feature", ["frames", "flow", "depth_flow", "hha"])
def test_published_names_a_sample_of_another_size(sizes: Shard, feature: str) -> None:
    with pytest.raises(DataError, match=r"^sample 1280x720: .*512x512.*found 1280x720"):
        sizes.make(feature, "published")
    assert not (sizes.folder / f"{feature}_published.h5").exists()


@pytest.mark.parametrize("fidelity", ["published", "corrected"])
@pytest.mark.parametrize("feature", MADE)
def test_clips_without_person_hands_or_depth(
    lacking: Shard, feature: str, fidelity: Fidelity
) -> None:
    store = lacking.make(feature, fidelity)
    check(store, lacking)
    actual = FeatureFile(lacking.folder / f"{feature}_{fidelity}.h5", feature).attributes
    counts = {name: actual[name] for name in FEATURES[feature].counts}
    expected = {
        "frames": {"clips_without_person": 1},
        "flow": {"clips_without_person": 1},
        "depth_flow": {"clips_without_person": 1},
        # Two clips of four frames miss both hands in each frame.
        "hand_crops": {"missing_boxes": 16, "imputed_boxes": 0},
        "depth_hand_crops": {"missing_boxes": 16, "imputed_boxes": 0},
        "hha": {"clips_without_person": 1, "empty_frames": 8},
        "heatmaps": {},
        # Nobody: 4 frames without a neck, all 53 points; no hands: 40 points, two wrists.
        "pose_flow": {"zero_neck_frames": 4, "keypoints_never_seen": 53 + 42},
    }
    assert counts == expected[feature]
    if feature == "hha":
        assert not store.read("depthless").values.any()
        assert not store.read("flat").values.any()
    if feature == "pose_flow":
        assert not store.read("nobody").values.any()
        assert store.read("handless").values.any()


def changed(shard: Shard, folder: Path, **fields: object) -> Shard:
    """The shard with other fields in the rows of its verify table."""
    rows = [replace(row, **fields) for row in read_verified(shard.verified)]
    write_verified(Shard(folder).verified, rows)
    shutil.copy(shard.keypoints, folder)
    return Shard(folder)


@pytest.mark.parametrize("feature", DEPTH_FEATURES)
def test_a_sample_without_a_depth_video_is_named(
    lacking: Shard, tmp_path: Path, feature: str
) -> None:
    with pytest.raises(DataError, match=r"nobody.* no depth video; name one in the sample table"):
        changed(lacking, tmp_path, depth="").make(feature)


@pytest.mark.parametrize("feature", MADE)
def test_a_video_that_changed_is_named(lacking: Shard, tmp_path: Path, feature: str) -> None:
    with pytest.raises(
        DataError, match=r"nobody.*4 frames, `verify` counted 5.*run the same command again"
    ):
        changed(lacking, tmp_path, frames=5).make(feature)


def renamed(shard: Shard, folder: Path, names: dict[str, str]) -> Shard:
    """Some clips of a shard as a shard, by their new names."""
    rows = {row.sample: row for row in read_verified(shard.verified)}
    store = FeatureStore("keypoints", [shard.keypoints])
    part = Shard(folder)
    folder.mkdir(exist_ok=True)
    write_verified(part.verified, [replace(rows[old], sample=new) for new, old in names.items()])
    clips = {new: store.read(old) for new, old in names.items()}
    new_clips = [NewClip(name, c.values, c.width, c.height, c.fps) for name, c in clips.items()]
    write_feature(part.keypoints, "keypoints", new_clips, {}, {})
    return part


@pytest.mark.parametrize("feature", MADE)
def test_only_new_and_changed_clips_are_made(
    lacking: Shard, tmp_path: Path, feature: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The bytes are those of a file made at once."""
    caplog.set_level("INFO")
    after = {"changed": "depthless", "comes": "flat", "gone": "gone", "stays": "handless"}
    renamed(lacking, tmp_path / "1", after).make(feature)
    before = {"changed": "nobody", "gone": "gone", "leaves": "nobody", "stays": "handless"}
    renamed(lacking, tmp_path / "2", before).make(feature)
    assert "taken over" not in caplog.text
    renamed(lacking, tmp_path / "2", after).make(feature)
    assert "1 of 4 clips taken over from an earlier file" in caplog.text
    first, second = (tmp_path / number / f"{feature}_corrected.h5" for number in "12")
    assert first.read_bytes() == second.read_bytes()


def test_other_keypoints_of_the_same_video_make_a_clip_again(
    lacking: Shard, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    shard = renamed(lacking, tmp_path, {"a": "handless", "b": "flat"})
    shard.make("frames")
    renamed(lacking, tmp_path / "other", {"a": "depthless", "b": "flat"})
    shutil.copy(tmp_path / "other" / "keypoints.h5", shard.keypoints)
    shard.make("frames")
    assert "1 of 2 clips taken over" in caplog.text


def test_stored_heatmaps_equal_those_drawn_in_training(lengths: Shard) -> None:
    store = lengths.make("heatmaps")
    keypoints = FeatureStore("keypoints", [lengths.keypoints])
    for T in LENGTHS:
        clip = keypoints.read(f"t{T}")
        drawn = draw_heatmaps(clip.values, width=64, height=48, sigma=3.0, fidelity="corrected")
        np.testing.assert_array_equal(store.read(f"t{T}").values, drawn)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Shard:
    """2,000 frames of 512 x 512: 1.5 GB decoded."""
    clips = {"long": (person(2000, 512, 512), 512, 512)}
    return make_shard(tmp_path_factory.mktemp("long"), clips)


@pytest.mark.slow
@pytest.mark.parametrize("feature", ["frames", "hand_crops", "flow", "hha"])
def test_a_job_holds_less_than_half_a_gigabyte_whatever_the_length(
    long: Shard, tmp_path: Path, feature: str
) -> None:
    settings = '{"method": "dis"}' if feature == "flow" else "{}"
    command = [
        *(sys.executable, "-m", "slr_pipeline.steps", feature, "--settings", settings),
        *(("--feature", feature) if feature in ("flow", "hand_crops") else ()),
        *("--verified", long.verified, "--keypoints", long.keypoints),
        *("--out", str(tmp_path / "out.h5")),
    ]
    # ru_maxrss of children is that of the largest so far: measure one in a separate process.
    measure = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", measure, *command], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) / 1024 < 500
    assert FeatureStore(feature, [tmp_path / "out.h5"]).frames("long") == 2000


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shard, Shard]:
    """Clips, and the same as segments of one recording that is its own depth."""
    lengths = {"a": 17, "b": 9, "c": 20}
    folders = [tmp_path_factory.mktemp(name) for name in ("clips", "segments")]
    clips = make_shard(folders[0], {n: (person(T, 64, 48), 64, 48) for n, T in lengths.items()})
    recording = str(folders[1] / "long.mkv")
    write_grey(recording, (scene(t, 64, 48) for T in lengths.values() for t in range(T)))
    ends = np.cumsum([*lengths.values(), 0])
    rows = []
    for row, end in zip(read_verified(clips.verified), ends, strict=True):
        segment = Segment((end - row.frames) / 25, end / 25)
        rows.append(replace(row, color=recording, depth=recording, segment=segment))
    write_verified(Shard(folders[1]).verified, rows)
    shutil.copy(clips.keypoints, folders[1])
    return clips, Shard(folders[1])


@pytest.mark.parametrize(
    "feature", [name for name in MADE if name not in ("pose_flow", "heatmaps")]
)
def test_segments_have_the_features_of_clips(pieces: tuple[Shard, Shard], feature: str) -> None:
    stores = [shard.make(feature) for shard in pieces]
    for name in "abc":
        of_clip, of_segment = (store.read(name) for store in stores)
        assert np.array_equal(of_clip.values, of_segment.values)
        assert np.array_equal(of_clip.boxes, of_segment.boxes)
