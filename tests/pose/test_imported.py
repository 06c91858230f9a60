"""Files of other programs as keypoints: each format, with the truth of a rendered right hand."""

import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from pydantic import ValidationError

from slr_pipeline.config.estimators import ImportedKeypointsSettings, MediapipeSettings
from slr_pipeline.errors import ArtifactError, DataError
from slr_pipeline.io.feature_writer import NewClip
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.verified import Verified, write_verified
from slr_pipeline.io.video import read_frames
from slr_pipeline.pose.estimators import open_estimator
from slr_pipeline.pose.imported import ImportedKeypoints
from slr_pipeline.pose.interface import PoseClip
from slr_pipeline.steps.keypoints import keypoints
from tests.feature_files import write_feature
from tests.pose.clips import pose_clip
from tests.pose.foreign import (
    SAMPLE,
    annotation,
    assert_right_handed,
    clip_of,
    person_25,
    person_135,
    point,
    truth,
    video,
    write_asl_signs,
    write_mmaction2,
    write_openpose,
    write_samslr,
)
from tests.pose.pictures import mirrored
from tests.shared_data import SHARED

needs_mediapipe = pytest.mark.skipif(
    importlib.util.find_spec("mediapipe") is None, reason="mediapipe is not installed"
)

Write = Callable[[Path, np.ndarray], dict[str, Any]]
"""Writes a clip under a folder; the settings that read it."""


def settings_of(format: str, path: object, **more: Any) -> ImportedKeypointsSettings:
    return ImportedKeypointsSettings(estimator="imported", format=format, path=str(path), **more)


def opened(format: str, path: object, **more: Any) -> ImportedKeypoints:
    estimator = open_estimator(settings_of(format, path, **more), "cpu")
    assert isinstance(estimator, ImportedKeypoints)
    return estimator


def openpose(person: Callable[[np.ndarray], dict[str, Any]]) -> Write:
    def write(folder: Path, points: np.ndarray) -> dict[str, Any]:
        people = [[person(frame)] if frame.any() else [] for frame in points]
        write_openpose(folder / SAMPLE, people)
        return {"format": "openpose", "path": folder / "{sample}"}

    return write


def samslr(folder: Path, points: np.ndarray) -> dict[str, Any]:
    write_samslr(folder / f"{SAMPLE}_color.mp4.npy", points)
    return {"format": "samslr", "path": folder / "{sample}_color.mp4.npy"}


def mmaction2(folder: Path, points: np.ndarray) -> dict[str, Any]:
    write_mmaction2(folder / "all.pkl", [annotation(points)])
    return {"format": "mmaction2", "path": folder / "all.pkl"}


def hdf5(folder: Path, points: np.ndarray, sample: str = SAMPLE, estimator: str = "x-1") -> Any:
    attributes = {"estimator": estimator, "weights_sha256": "ab" * 32}
    path = folder / f"features/keypoints/train/{sample}.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_feature(path, "keypoints", [NewClip(sample, points, 512, 512, 25.0)], attributes, {})
    return {"format": "hdf5", "path": folder / "features/keypoints/*/*.h5"}


def dot_pose(layout: str) -> Write:
    def write(folder: Path, points: np.ndarray) -> dict[str, Any]:
        pose_file = pytest.importorskip("slr_pipeline.io.foreign.pose_file")
        pytest.importorskip("pose_format", reason="the extra `formats` is not installed")
        path = folder / f"{SAMPLE}.pose"
        pose_file.write_pose(path, points, layout, width=512, height=512, fps=25.0)
        return {"format": "pose", "path": folder / "{sample}.pose"}

    return write


NO_ROOTS = ("left_hand_root", "right_hand_root")
FORMATS: dict[str, tuple[Write, float, tuple[str, ...]]] = {
    # how far a coordinate may be off, px, and what the layout does not have
    "openpose-body-25": (openpose(person_25), 6e-4, ()),
    "openpose-body-135": (openpose(person_135), 6e-4, NO_ROOTS),
    "samslr": (samslr, 3e-5, ()),
    "mmaction2": (mmaction2, 0.13, ()),  # 16-bit numbers
    "hdf5": (hdf5, 0, ()),
    "pose-coco": (dot_pose("coco-wholebody-133"), 0, ()),
    "pose-body-135": (dot_pose("body-135"), 0, NO_ROOTS),
    "pose-body-25": (dot_pose("body-25"), 0, ()),
    "pose-holistic": (dot_pose("holistic"), 0, ("left_small_toe", "right_small_toe")),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_right_handed_sign_has_its_places_and_sides(name: str, tmp_path: Path) -> None:
    write, tolerance, absent = FORMATS[name]
    points = truth()
    points[4] = 0  # a frame without a person
    result = opened(**write(tmp_path, points)).estimate(clip_of(points))
    assert result.shape == points.shape
    assert result.dtype == np.float32
    expected = points.copy()
    expected[:, [point(one) for one in absent]] = 0
    assert np.abs(result - expected).max() <= tolerance
    assert np.array_equal(result.any(axis=2), expected.any(axis=2))
    assert_right_handed(result[result[..., 2].any(axis=1)])


def test_landmarks_of_asl_signs_are_fractions_of_the_picture(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="the extra `formats` is not installed")
    points = truth()
    points[4] = 0  # a frame without a person
    write_asl_signs(tmp_path / f"17/{SAMPLE}.parquet", points)
    opened_files = opened("asl-signs", tmp_path / "*/{sample}.parquet")
    small_toes = [point("left_small_toe"), point("right_small_toe")]  # not in Holistic
    for width, height in ((512, 512), (1280, 720)):
        result = opened_files.estimate(clip_of(points, width=width, height=height))
        expected = points * (width / 512, height / 512, 0) + (0, 0, 1)
        expected[points[..., 2] == 0] = 0
        expected[:, small_toes] = 0
        assert np.abs(result - expected).max() < 1e-3
    assert_right_handed(result)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda table: table.iloc[:-1], "542 rows for 1 frames; expected 543 for each"),
        (lambda table: table.replace("pose", "body"), "is not one of Holistic's 543"),
        (lambda table: table.drop(columns="type"), "not a complete Parquet file of landmarks"),
        (lambda table: table.iloc[:0], "has no frames"),
    ],
)
def test_other_landmark_files_are_one_line(
    change: Callable[[Any], Any], problem: str, tmp_path: Path
) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow", reason="the extra `formats` is not installed")
    path = tmp_path / f"{SAMPLE}.parquet"
    write_asl_signs(path, truth()[:1])
    change(pd.read_parquet(path)).to_parquet(path)
    with pytest.raises(ArtifactError, match=problem):
        opened("asl-signs", tmp_path / "{sample}.parquet").read(SAMPLE)


@needs_mediapipe
@pytest.mark.slow
def test_samslr_files_are_unmirrored(tmp_path: Path) -> None:
    """The sides come from an estimator, not from our own writer."""
    estimator = open_estimator(MediapipeSettings(), "cpu")
    frames = pose_clip(mirrored(list(read_frames(video()))))
    np.save(tmp_path / f"{SAMPLE}_color.mp4.npy", estimator.estimate(frames))
    settings = {"format": "samslr", "path": tmp_path / "{sample}_color.mp4.npy"}
    result = opened(**settings).estimate(clip_of(truth()))
    assert_right_handed(result)
    arms = [point(f"{side}_{name}") for side in ("left", "right") for name in ("shoulder", "elbow")]
    apart = np.linalg.norm((result - truth())[:, arms, :2], axis=2)
    assert np.median(apart) < 12


@pytest.mark.parametrize("name", ["openpose-body-25", "mmaction2", "pose-body-25"])
def test_mirrored_files_of_other_formats(name: str, tmp_path: Path) -> None:
    points = truth()
    write_samslr(tmp_path / "x.npy", points)
    seen = np.load(tmp_path / "x.npy")
    result = opened(**FORMATS[name][0](tmp_path, seen), mirrored=True).estimate(clip_of(points))
    assert np.abs(result - points).max() <= 0.13
    assert_right_handed(result)


def test_what_the_artifact_says(tmp_path: Path) -> None:
    other = opened(**samslr(tmp_path, truth()))
    assert (other.name, other.weights_sha256) == ("imported-samslr", "unknown")
    named = opened(**samslr(tmp_path, truth()), tool="hrnet-w48")
    assert named.name == "hrnet-w48 (imported-samslr)"
    own = opened(**hdf5(tmp_path, truth(), estimator="mediapipe-0.10.21-holistic"))
    assert (own.name, own.weights_sha256) == ("mediapipe-0.10.21-holistic", "ab" * 32)
    assert own.attributes == {"imported": "hdf5"}


def test_the_step_writes_what_was_imported(tmp_path: Path) -> None:
    points = truth()
    section = settings_of(**samslr(tmp_path, points), tool="hrnet")
    rows = [
        Verified(SAMPLE, str(video()), "", "", len(points), 512, 512, 25.0, "c" * 64),
        Verified("signer0_sample2", "x.mp4", "", "it is empty"),
    ]
    verified, out = str(tmp_path / "verified.csv"), str(tmp_path / "out.h5")
    write_verified(verified, rows)
    keypoints(section, "cpu", verified, [out])
    store = FeatureStore("keypoints", [out])
    assert np.abs(store.read(SAMPLE).values - points).max() < 3e-5
    assert store.frames("signer0_sample2") == 0
    with h5py.File(out) as file:
        assert file.attrs["estimator"] == "hrnet (imported-samslr)"
        assert file.attrs["imported"] == "samslr"
        assert not file.attrs["mirrored"]


def test_missing_files_are_counted_and_the_first_listed(tmp_path: Path) -> None:
    section = settings_of(**samslr(tmp_path, truth()))
    rows = [
        Verified(name, str(video()), "", "", 23, 512, 512, 25.0, "c" * 64)
        for name in (SAMPLE, *(f"s{i:02}" for i in range(14)))
    ]
    write_verified(tmp_path / "v.csv", rows)
    with pytest.raises(DataError) as caught:
        keypoints(section, "cpu", str(tmp_path / "v.csv"), [str(tmp_path / "out.h5")])
    assert str(caught.value) == (
        f"features.keypoints.path: {section.path} has no keypoints of 14 of 15 samples: "
        "14 ('s00', 's01', 's02', 's03', 's04', 's05', 's06', 's07', 's08', 's09', ...); make "
        "them, or check the path"
    )
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.parametrize("name", FORMATS)
def test_another_number_of_frames_is_named(name: str, tmp_path: Path) -> None:
    points = truth()
    estimator = opened(**FORMATS[name][0](tmp_path, points[:-2]))
    with pytest.raises(DataError, match=f"21 frames, but .*{SAMPLE}_color.mp4 has 23; make the"):
        estimator.estimate(clip_of(points))


@pytest.mark.parametrize("every_frame", [True, False])
def test_of_fast_video_the_frames_of_the_features_are_taken(
    every_frame: bool, tmp_path: Path
) -> None:
    points = truth()
    sampled = np.arange(0, len(points), 2)
    estimator = opened(**samslr(tmp_path, points if every_frame else points[sampled]))
    result = estimator.estimate(replace(clip_of(points), sampled=sampled))
    np.testing.assert_allclose(result, points[sampled], atol=1e-3)


def test_samslr_of_other_square_videos_is_scaled(tmp_path: Path) -> None:
    points = truth()
    estimator = opened(**samslr(tmp_path, points))
    result = estimator.estimate(clip_of(points, width=256, height=256))
    assert np.abs(result[..., :2] - points[..., :2] / 2).max() < 3e-5
    with pytest.raises(DataError, match=r"512 x 512 px, but .* has another shape, 640 x 480"):
        estimator.estimate(clip_of(points, width=640, height=480))


def test_runs_of_two_estimators_are_not_mixed(tmp_path: Path) -> None:
    hdf5(tmp_path, truth(), "a", "one-1")
    settings = hdf5(tmp_path, truth(), "b", "two-2")
    with pytest.raises(ArtifactError, match=r"are of two-2 .* of one-1"):
        opened(**settings)
    with pytest.raises(DataError, match=r"no file .*\.h5; check the pattern"):
        opened("hdf5", tmp_path / "*.h5")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"format": "pose", "path": "x.pose"}, "format pose needs a path with {sample}"),
        ({"format": "mmaction2", "path": "{sample}.pkl"}, "needs a path without {sample}"),
        ({"format": "samslr", "path": "{sample}", "mirrored": True}, "leave it out"),
        (
            {"format": "asl-signs", "path": "{sample}", "picture": {"width": 9, "height": 9}},
            "leave it out",
        ),
        ({"format": "hdf5", "path": "*.h5", "tool": "x"}, "tool: format hdf5 states it itself"),
        ({"format": "csv", "path": "x"}, "format"),
        (
            {"format": "pose", "path": "{sample}", "picture": {"width": 0, "height": 5}},
            "greater than",
        ),
        ({"format": "pose", "path": "{sample}", "tool": "a\nb"}, "tool"),
    ],
)
def test_settings_that_fit_no_format(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ImportedKeypointsSettings(estimator="imported", **settings)


# --- real files ----------------------------------------------------------------------------------

POSE = SHARED / "pose"
needs_pose = pytest.mark.skipif(
    not POSE.is_dir(), reason="no real .pose: SLR_SHARED_DATA or ../shared/data has no pose"
)


@needs_pose
@pytest.mark.parametrize(
    ("name", "frames", "sides"), [("openpose", 93, "left right"), ("mediapipe", 170, "right")]
)
def test_real_pose_files(name: str, frames: int, sides: str, tmp_path: Path) -> None:
    """The signer faces the camera; the hands that are seen hang on their wrists.

    The first is of format 0.0 and says 1000 x 1000 of smaller pictures, the second has 8 points of
    the body and 128 of the face, and a hand that is never seen.
    """
    pytest.importorskip("pose_format", reason="the extra `formats` is not installed")
    shutil.copy(POSE / f"{name}.pose", tmp_path / f"{SAMPLE}.pose")
    side = 1000 if name == "openpose" else 1250
    clip = clip_of(np.zeros((frames, 133, 3)), width=side, height=side)
    result = opened("pose", tmp_path / "{sample}.pose").estimate(clip)
    right, left = (np.median(result[:, point(f"{s}_shoulder"), 0]) for s in ("right", "left"))
    width = left - right
    assert width > 100
    for hand in ("left", "right"):
        root, wrist, elbow = (
            result[:, point(f"{hand}_{joint}")] for joint in ("hand_root", "wrist", "elbow")
        )
        seen = (root[:, 2] > 0) & (wrist[:, 2] > 0)
        assert (seen.sum() > 40) == (hand in sides.split())
        if seen.any():
            on, off = (np.linalg.norm((root - o)[seen, :2], axis=1) for o in (wrist, elbow))
            assert np.median(on) < 0.2 * width < np.median(off)


@needs_mediapipe
@pytest.mark.slow
@pytest.mark.parametrize("path", [video(), SHARED / "wlasl20/videos/07073.mp4"])
def test_another_program_on_the_same_clip_agrees(path: Path, tmp_path: Path) -> None:
    """A `.pose` that pose-format's own program makes of a video, with MediaPipe's own Holistic."""
    if not path.is_file():
        pytest.skip("no real clips: SLR_SHARED_DATA or ../shared/data has no wlasl20")
    holistic = pytest.importorskip("pose_format.utils.holistic")
    frames = list(read_frames(path))
    height, width = frames[0].shape[:2]
    with (tmp_path / f"{path.stem}.pose").open("wb") as file:
        holistic.load_holistic(frames, fps=25, width=width, height=height).write(file)
    clip = PoseClip(path.stem, str(path), iter(frames), len(frames), width, height, 25.0)
    result = opened("pose", tmp_path / "{sample}.pose").estimate(clip)
    if path == video():
        assert_right_handed(result)
    own = open_estimator(MediapipeSettings(), "cpu").estimate(clip)
    joints = ("shoulder", "elbow", "wrist")
    arms = [point(f"{side}_{joint}") for side in ("left", "right") for joint in joints]
    assert (own[:, arms, 2] > 0).all()
    assert np.linalg.norm((result - own)[:, arms, :2], axis=2).max() < 0.1
