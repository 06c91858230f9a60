"""Folders of OpenPose's JSON: frames, people, both layouts, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slr_pipeline.errors import SlrError
from slr_pipeline.io.foreign.openpose_json import read_folder
from slr_pipeline.skeleton import LEFT_HAND, RIGHT_HAND
from tests.pose.foreign import person_25, person_135, truth, write_openpose


def test_people_are_those_with_a_keypoint(tmp_path: Path) -> None:
    points = truth()
    points[1, LEFT_HAND[0], 2] = 1.0004  # just above the largest score
    empty = {name: [0] * len(values) for name, values in person_25(points[0]).items()}
    people = [[], [person_25(points[1]), empty], [person_25(points[2]), person_135(points[3])]]
    clip = read_folder(write_openpose(tmp_path / "x", people))
    assert [frame.shape for frame in clip.frames] == [(0, 133, 3), (1, 133, 3), (2, 133, 3)]
    assert np.abs(clip.frames[1][0] - points[1]).max() < 6e-4
    assert clip.frames[1][0, LEFT_HAND[0], 2] == 1
    assert clip.size is None
    assert not clip.frames[2][1][[LEFT_HAND[0], RIGHT_HAND[0]]].any()


def test_frames_are_ordered_by_the_numbers_in_their_names(tmp_path: Path) -> None:
    points = truth()
    folder = write_openpose(tmp_path / "x", [[person_25(frame)] for frame in points[:12]])
    for path in sorted(folder.iterdir()):  # from 5, without leading zeros: as text 10 is before 5
        path.rename(folder / f"clip_{int(path.name.split('_')[1]) + 5}_keypoints.json")
    (folder / "notes.txt").write_text("x")
    clip = read_folder(folder)
    assert np.abs(np.stack(clip.frames)[:, 0] - points[:12]).max() < 6e-4


def test_a_part_without_a_model_is_missing(tmp_path: Path) -> None:
    person = person_25(truth()[5])
    del person["face_keypoints_2d"]
    person["hand_left_keypoints_2d"] = []
    clip = read_folder(write_openpose(tmp_path / "x", [[person]])).frames[0][0]
    assert not clip[23:112].any()
    assert np.array_equal(clip[list(RIGHT_HAND)].any(axis=1), truth()[5, RIGHT_HAND].any(axis=1))
    assert clip[RIGHT_HAND].any()


def broken(**changes: Any) -> dict[str, Any]:
    return person_25(truth()[5]) | changes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"people": [', "not a complete frame of OpenPose's JSON (Expecting value"),
        ("", "not a complete frame of OpenPose's JSON (Expecting value"),
        ("[]", "not a complete frame"),
        ('{"version": 1.3}', "not a complete frame of OpenPose's JSON ('people')"),
        ('{"people": [{}]}', "('pose_keypoints_2d')"),
        ('{"people": 3}', "not a complete frame"),
        ("[" * 100_000, "not a complete frame"),
        ('{"people": []}\xff', "not a complete frame"),
        (broken(pose_keypoints_2d=[0.0] * 74), "cannot reshape"),
        (broken(pose_keypoints_2d=[0.0] * 54), "[18, 70, 21, 21] points of body, face"),
        (broken(hand_left_keypoints_2d=[0.0] * 60), "[25, 70, 20, 21] points of body, face, left"),
        (broken(face_keypoints_2d=["1"] * 210), "'1' is not a number"),
        (broken(face_keypoints_2d=[None] * 210), "None is not a number"),
        (broken(face_keypoints_2d=[True] * 210), "True is not a number"),
        (broken(face_keypoints_2d=[float("nan")] * 210), "scores are NaN or infinite"),
        (broken(face_keypoints_2d=[float("nan"), 1.0, 0.5] * 70), "NaN or infinite coordinates"),
        (broken(face_keypoints_2d=[1e39, 1.0, 0.5] * 70), "NaN or infinite coordinates"),
        (broken(face_keypoints_2d=[9.0, 9.0, 87.0] * 70), "scores from 0 to 87; expected 0 to 1"),
        (broken(face_keypoints_2d=[9.0, 9.0, -1.0] * 70), "scores from -1 to 0.75; expected 0"),
        (broken(face_keypoints_2d=[10**400] * 210), "not a complete frame"),
    ],
)
def test_a_wrong_frame_is_one_line_that_names_it(
    tmp_path: Path, content: str | dict[str, Any], message: str
) -> None:
    folder = write_openpose(tmp_path / "x", [[]])
    (path,) = folder.iterdir()
    text = content if isinstance(content, str) else json.dumps({"people": [content]})
    path.write_bytes(text.encode("latin1"))
    with pytest.raises(SlrError) as caught:
        read_folder(folder)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folders_without_a_clip_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SlrError, match="No such file or directory"):
        read_folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SlrError, match=r"no file \*_keypoints\.json; expected one per frame"):
        read_folder(tmp_path / "empty")
    folder = write_openpose(tmp_path / "x", [[], [], [], []])
    (folder / "clip_000000000002_keypoints.json").unlink()
    with pytest.raises(SlrError, match=r"frames are missing: 1 \('2'\); make them again"):
        read_folder(folder)
    (folder / "other_000000000003_keypoints.json").write_text("{}")
    with pytest.raises(SlrError, match="are both frame 3; give each clip its own folder"):
        read_folder(folder)
