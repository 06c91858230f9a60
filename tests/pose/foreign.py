"""True keypoints of rendered clips, written as files of other programs."""

import json
import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from slr_pipeline.io.foreign.keypoints import reorder
from slr_pipeline.io.video import read_frames
from slr_pipeline.pose.interface import PoseClip
from slr_pipeline.skeleton import FLIP_133, HOLISTIC, KEYPOINTS_133

DEMO = Path(__file__).parents[2] / "demo"
SAMPLE = "signer0_sample1"
"""A sign of the right hand alone; the signer faces the camera; 23 frames of 512 x 512."""

BODY_25 = (
    *("nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder"),
    *("left_elbow", "left_wrist", "mid_hip", "right_hip", "right_knee", "right_ankle"),
    *("left_hip", "left_knee", "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear"),
    *("left_big_toe", "left_small_toe", "left_heel"),
    *("right_big_toe", "right_small_toe", "right_heel"),
)
"""Our names of OpenPose's BODY_25: Nose, Neck, RShoulder, ..."""


def truth(sample: str = SAMPLE) -> np.ndarray:
    """(T, 133, 3) float32: hidden points score less, those outside the picture are missing."""
    with h5py.File(DEMO / "truth/train.h5") as file:
        points: np.ndarray = file[sample]["keypoints"][:]
    points[..., 2] = np.where(points[..., 2] > 0, 0.75, 0.25)
    outside = ((points[..., :2] < 0) | (points[..., :2] > 511)).any(axis=-1)
    points[outside] = 0
    return points


def video(sample: str = SAMPLE) -> Path:
    return DEMO / f"train/{sample}_color.mp4"


def clip_of(
    points: np.ndarray, sample: str = SAMPLE, *, width: int = 512, height: int = 512
) -> PoseClip:
    frames = read_frames(video(sample))
    return PoseClip(sample, str(video(sample)), frames, len(points), width, height, fps=25.0)


def point(name: str) -> int:
    return KEYPOINTS_133.index(name)


def assert_right_handed(points: np.ndarray) -> None:
    """The signing hand is the right one, at the left of the picture."""
    right, left = (points[:, point(f"{side}_wrist")] for side in ("right", "left"))
    right, left = (wrist[wrist[:, 2] > 0, :2] for wrist in (right, left))
    assert min(len(right), len(left)) > 10
    assert np.linalg.norm(np.ptp(right, axis=0)) > 100
    assert np.linalg.norm(np.ptp(left, axis=0)) < 30
    assert np.median(right[:, 0]) < np.median(left[:, 0]) - 50
    for side in ("left", "right"):
        root, wrist = (points[:, point(f"{side}_{name}")] for name in ("hand_root", "wrist"))
        seen = (root[:, 2] > 0) & (wrist[:, 2] > 0)
        if seen.any():
            apart = np.linalg.norm(root[seen, :2] - wrist[seen, :2], axis=1)
            assert np.median(apart) < 30, side


def flat(points: np.ndarray) -> list[float]:
    return [round(float(value), 3) for value in points.reshape(-1)]


def person_25(frame: np.ndarray) -> dict[str, Any]:
    """A person of OpenPose's JSON: BODY_25 with face and hands."""
    body = np.zeros((25, 3))
    for row, name in enumerate(BODY_25):
        if name in KEYPOINTS_133:
            body[row] = frame[point(name)]
        elif frame[:, 2].any():
            body[row] = (7, 7, 0.5)  # neck and mid-hip, which the 133 lack
    face = np.concatenate([frame[23:91], [[9, 9, 0.5], [9, 9, 0.5]]])
    return {
        "person_id": [-1],
        "pose_keypoints_2d": flat(body),
        "face_keypoints_2d": flat(face),
        "hand_left_keypoints_2d": flat(frame[91:112]),
        "hand_right_keypoints_2d": flat(frame[112:133]),
        **{f"{part}_keypoints_3d": [] for part in ("pose", "face", "hand_left", "hand_right")},
    }


def person_135(frame: np.ndarray) -> dict[str, Any]:
    """A person of OpenPose's JSON: BODY_135."""
    ends = np.array([[7, 7, 0.5], [7, 7, 0.5]])
    body = np.concatenate(
        [frame[:17], ends, frame[17:23], frame[92:112], frame[113:133], frame[23:91], ends]
    )
    empty = ("face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d")
    return {"person_id": [-1], "pose_keypoints_2d": flat(body), **{name: [] for name in empty}}


def write_openpose(folder: Path, people: list[list[dict[str, Any]]], stem: str = "clip") -> Path:
    folder.mkdir(parents=True)
    for number, frame in enumerate(people):
        path = folder / f"{stem}_{number:012d}_keypoints.json"
        path.write_text(json.dumps({"version": 1.3, "people": frame}))
    return folder


def write_samslr(path: Path, points: np.ndarray, width: int = 512) -> Path:
    """As a program writes them that sees mirrored frames."""
    seen = points[:, list(FLIP_133)]
    seen[..., 0] = width - seen[..., 0]
    np.save(path, seen.astype(np.float32))
    return path


def annotation(points: np.ndarray, **changes: Any) -> dict[str, Any]:
    return {
        "frame_dir": SAMPLE,
        "label": 1,
        "img_shape": (512, 512),
        "original_shape": (512, 512),
        "total_frames": len(points),
        "keypoint": points[None, ..., :2].astype(np.float16),
        "keypoint_score": points[None, ..., 2].astype(np.float16),
    } | changes


def write_mmaction2(path: Path, annotations: list[dict[str, Any]], protocol: int = 4) -> Path:
    content = {"split": {"train": [SAMPLE]}, "annotations": annotations}
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def write_asl_signs(path: Path, points: np.ndarray, size: tuple[int, int] = (512, 512)) -> None:
    """Keypoints (T, 133, 3) in the columns, types and order that Kaggle's data page publishes.

    https://www.kaggle.com/competitions/asl-signs/data. Landmarks that the 133 lack are 0.
    """
    parts = {"face": 468, "left_hand": 21, "pose": 33, "right_hand": 21}
    first = {"pose": 0, "face": 33, "left_hand": 501, "right_hand": 522}
    landmarks = reorder(points, KEYPOINTS_133, HOLISTIC)
    known = np.isin(HOLISTIC, KEYPOINTS_133)
    rows = []
    for frame, values in enumerate(landmarks, start=20):  # the number in the longer raw video
        for part, count in parts.items():
            for index in range(count):
                x, y, score = values[first[part] + index]
                missing = known[first[part] + index] and not score
                place = (np.nan, np.nan) if missing else (x / size[0], y / size[1])
                rows.append((frame, f"{frame}-{part}-{index}", part, index, *place, place[0]))
    columns = ["frame", "row_id", "type", "landmark_index", "x", "y", "z"]
    table = pd.DataFrame(rows, columns=columns)
    table = table.astype({"frame": "int16", "landmark_index": "int16"})
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(path, engine="pyarrow")
