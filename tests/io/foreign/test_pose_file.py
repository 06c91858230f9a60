"""`.pose` files: names of every layout, versions, what is refused, and round trips."""

import struct
from pathlib import Path

import numpy as np
import pytest

from slr_pipeline.errors import SlrError
from slr_pipeline.io.foreign import pose_file
from slr_pipeline.io.foreign.pose_file import read_pose, write_pose
from slr_pipeline.skeleton import BODY_25_HANDS_FACE, BODY_135, KEYPOINTS_133, LAYOUTS
from tests.pose.foreign import truth

pose_format = pytest.importorskip("pose_format", reason="the extra `formats` is not installed")

from pose_format.numpy import NumPyPoseBody  # noqa: E402
from pose_format.pose_header import (  # noqa: E402
    PoseHeader,
    PoseHeaderComponent,
    PoseHeaderDimensions,
)
from pose_format.utils import cocowholebody133_header, openpose, openpose_135  # noqa: E402

POINTS = truth()
COCO = cocowholebody133_header.cocowholebody_components()


def component(name: str, points: list[str], form: str = "XYC") -> PoseHeaderComponent:
    return PoseHeaderComponent(name, points, [], [], form)


def saved(
    path: Path,
    components: list[PoseHeaderComponent],
    values: np.ndarray,
    *,
    size: tuple[int, int] = (512, 512),
    fps: float = 25,
) -> Path:
    """A file of points (T, P, V, 3), written by pose-format."""
    header = PoseHeader(0.2, PoseHeaderDimensions(*size), components)
    body = NumPyPoseBody(fps, values[..., :-1].astype(np.float32), values[..., -1])
    with path.open("wb") as file:
        pose_format.Pose(header, body).write(file)
    return path


def as_0_1(data: bytes, frames: int, fps: int = 25) -> bytes:
    """Format 0.1: rate and number of frames are two short numbers."""
    reader = pose_format.utils.reader.BufferReader(data)
    PoseHeader.read(reader)
    start = reader.read_offset
    body = struct.pack("<HH", fps, frames % 2**16) + data[start + 8 :]
    return struct.pack("<f", 0.1) + data[4:start] + body


# --- names ---------------------------------------------------------------------------------------


def test_names_are_those_of_mediapipe() -> None:
    holistic = pytest.importorskip("pose_format.utils.holistic")
    ours = pose_file._holistic_components()
    for our, their in zip(ours, holistic.holistic_components()[:4], strict=True):
        assert (our.name, our.points) == (their.name, their.points)


def test_our_names_have_the_sides_and_joints_of_openposes() -> None:
    """Where the names contain them."""
    for theirs, ours in (
        (openpose_135.BODY_135_POINTS, BODY_135),
        (openpose.BODY_POINTS, BODY_25_HANDS_FACE[:25]),
    ):
        for their, our in zip(theirs, ours, strict=True):
            if their.startswith(("L", "R")):
                assert our.startswith({"L": "left", "R": "right"}[their[0]]) or "face-" in our
            joint = our.removeprefix("left_").removeprefix("right_").replace("_", "")
            if joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "eye", "ear"):
                assert their[1:].lower() == joint


# --- what is read --------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_written_files_read_back_to_the_bit(tmp_path: Path, layout: str) -> None:
    points = POINTS.copy()
    points[3] = 0
    points[5, 0, :2] = (-3.1415927, 600)
    path = tmp_path / "x.pose"
    write_pose(path, points, layout, width=512, height=384, fps=29.97)
    clip = read_pose(path)
    absent = [i for i, name in enumerate(KEYPOINTS_133) if name not in LAYOUTS[layout]]
    points[:, absent] = 0
    assert clip.size == (512, 384)
    assert [len(frame) for frame in clip.frames] == [int(frame.any()) for frame in points]
    for frame, expected in zip(clip.frames, points, strict=True):
        assert not len(frame) or np.array_equal(frame[0], expected)
    pose = pose_format.Pose.read(path.read_bytes())
    assert pose.body.data.shape == (len(points), 1, len(LAYOUTS[layout]), 2)
    assert round(pose.body.fps, 2) == 29.97
    assert any(one.limbs for one in pose.header.components)


def test_points_are_identified_by_name_in_any_order_and_number(tmp_path: Path) -> None:
    values = np.zeros((2, 1, 7, 4))
    values[..., :2] = np.arange(14).reshape(7, 2) + 10
    values[..., 2:] = (99, 0.5)
    components = [
        component("POSE_WORLD_LANDMARKS", ["NOSE"], "XYZC"),
        component("RIGHT_HAND_LANDMARKS", ["PINKY_TIP", "WRIST"], "XYZC"),
        component("POSE_LANDMARKS", ["RIGHT_WRIST", "LEFT_FOOT_INDEX"], "XYZC"),
        component("FACE_LANDMARKS", ["356", "470"], "XYZC"),
    ]
    clip = read_pose(saved(tmp_path / "x.pose", components, values)).frames[1][0]
    given = {
        KEYPOINTS_133[i]: clip[i, :2].tolist() for i in range(133) if clip[i, 2] == np.float32(0.5)
    }
    assert given == {
        "right_pinky_finger4": [12, 13],
        "right_hand_root": [14, 15],
        "right_wrist": [16, 17],
        "left_big_toe": [18, 19],
        "face-16": [20, 21],
    }


def test_several_people_and_masked_coordinates(tmp_path: Path) -> None:
    values = np.stack([POINTS[:4], POINTS[:4] / 2], axis=1)
    values[1, 0] = 0
    values[2, 1, :, 2] = 0
    values[0, 0, 7] = (np.nan, np.nan, 0)
    clip = read_pose(saved(tmp_path / "x.pose", COCO, values))
    assert [len(frame) for frame in clip.frames] == [2, 1, 1, 2]
    assert np.array_equal(clip.frames[1][0], values[1, 1].astype(np.float32))
    assert not clip.frames[0][0, 7].any()


# --- what is refused -----------------------------------------------------------------------------


def test_a_short_file_of_format_0_1_is_not_read_as_a_shorter_clip(tmp_path: Path) -> None:
    """pose-format reads it to its end and would take coordinates for scores."""
    path = tmp_path / "x.pose"
    write_pose(path, POINTS, "body-25", width=512, height=512, fps=25)
    newer = np.concatenate(read_pose(path).frames)
    data = as_0_1(path.read_bytes(), len(POINTS))
    path.write_bytes(data)
    assert np.array_equal(np.concatenate(read_pose(path).frames), newer)
    for lost in (1, 4, 137 * 12, 137 * 12 * 3):
        path.write_bytes(data[:-lost])
        with pytest.raises(SlrError, match=r"not a complete \.pose \("):
            read_pose(path)
    path.write_bytes(data + bytes(137 * 12))
    with pytest.raises(SlrError, match=r"0 bytes too many, 24 frames of 23"):
        read_pose(path)


@pytest.mark.parametrize(
    ("components", "message"),
    [
        ([component("HEAD", ["x"])], "component 'HEAD' of format 'XYC'; expected XYC or XYZC and"),
        ([component("BODY", ["nose"], "YXC")], "component 'BODY' of format 'YXC'"),
        ([component("BODY", ["x"])], "has no known point"),
        ([component("POSE_WORLD_LANDMARKS", ["NOSE"])], "has no known point"),
    ],
)
def test_other_points_are_refused(
    tmp_path: Path, components: list[PoseHeaderComponent], message: str
) -> None:
    path = saved(tmp_path / "x.pose", components, np.ones((2, 1, 1, 3)))
    with pytest.raises(SlrError, match=message):
        read_pose(path)


@pytest.mark.parametrize(
    ("channel", "value", "message"),
    [
        (0, np.nan, "NaN or infinite coordinates"),
        (2, np.nan, "scores are NaN or infinite"),
        (2, 99, "scores from 0 to 99; expected 0 to 1"),
        (2, -5, "scores from -5 to 0.75"),
    ],
)
def test_wrong_values_are_refused(tmp_path: Path, channel: int, value: float, message: str) -> None:
    values = POINTS[:, None].copy()
    values[3, 0, 5, channel] = value
    with pytest.raises(SlrError, match=message):
        read_pose(saved(tmp_path / "x.pose", COCO, values))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pose"
    with pytest.raises(SlrError, match="No such file"):
        read_pose(path)
    write_pose(path, POINTS, "body-25", width=512, height=512, fps=25)
    data = path.read_bytes()
    for damaged, message in (
        (b"", r"not a complete \.pose"),
        (data[:-1], r"not a complete \.pose"),
        (data + b"x", "1 bytes too many"),
        (
            struct.pack("<f", 0.3) + data[4:],
            r"\.pose of format 0\.3; expected one of 0\.0, 0\.1, 0\.2",
        ),
    ):
        path.write_bytes(damaged)
        with pytest.raises(SlrError, match=message):
            read_pose(path)


def test_frames_without_people_take_no_bytes_and_no_time(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pose", COCO, np.zeros((5, 0, 133, 3)))
    assert [len(frame) for frame in read_pose(path).frames] == [0] * 5
    data = path.read_bytes()
    path.write_bytes(data[:-6] + struct.pack("<IH", 2**32 - 1, 0))
    with pytest.raises(SlrError, match="claims to have 4294967295 frames"):
        read_pose(path)
