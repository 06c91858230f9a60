"""Keypoint layouts: facts of the published data, and their symmetry."""

import pytest

from slr_pipeline import skeleton


def opposite(name: str) -> str:
    if name.startswith("left"):
        return name.replace("left", "right", 1)
    return name.replace("right", "left", 1)


def test_parts_cover_the_133_keypoints_once() -> None:
    covered = [i for part in skeleton.PARTS.values() for i in part]
    assert covered == list(range(133))
    assert len(set(skeleton.KEYPOINTS_133)) == 133
    assert [len(part) for part in skeleton.PARTS.values()] == [17, 6, 68, 21, 21]


PUBLISHED_NAMES = {
    "coco-wholebody-133": {
        0: "nose", 9: "left_wrist", 16: "right_ankle", 17: "left_big_toe", 22: "right_heel",
        23: "face-0", 90: "face-67", 91: "left_hand_root", 95: "left_thumb4",
        96: "left_forefinger1", 111: "left_pinky_finger4", 112: "right_hand_root",
        132: "right_pinky_finger4",
    },
    "body-135": {
        0: "nose", 5: "left_shoulder", 10: "right_wrist", 11: "left_hip", 16: "right_ankle",
        17: "upper_neck", 18: "head_top", 19: "left_big_toe", 24: "right_heel", 25: "left_thumb1",
        44: "left_pinky_finger4", 45: "right_thumb1", 64: "right_pinky_finger4", 65: "face-0",
        132: "face-67", 134: "left_pupil",
    },
    "body-25": {
        1: "neck", 4: "right_wrist", 7: "left_wrist", 8: "mid_hip", 16: "left_eye",
        19: "left_big_toe", 24: "right_heel", 25: "face-0", 93: "right_pupil",
        95: "left_hand_root", 99: "left_thumb4", 116: "right_hand_root",
        136: "right_pinky_finger4",
    },
    "holistic": {
        0: "nose", 2: "left_eye", 8: "right_ear", 9: "mouth_left", 11: "left_shoulder",
        16: "right_wrist", 22: "right_thumb", 23: "left_hip", 29: "left_heel",
        32: "right_big_toe", 33 + 127: "face-0", 33 + 356: "face-16", 33 + 3: "face_mesh-3",
        33 + 468: "left_hand_root", 33 + 468 + 21: "right_hand_root", 542: "right_pinky_finger4",
    },
}  # fmt: skip


@pytest.mark.parametrize("layout", PUBLISHED_NAMES)
def test_names_have_their_published_index(layout: str) -> None:
    names = skeleton.LAYOUTS[layout]
    assert len(set(names)) == len(names)
    expected = PUBLISHED_NAMES[layout]
    assert {index: names[index] for index in expected} == expected


@pytest.mark.parametrize("flip", [skeleton.FLIP_133, skeleton.FLIP_27])
def test_flip_twice_is_the_identity(flip: tuple[int, ...]) -> None:
    assert [flip[flip[i]] for i in range(len(flip))] == list(range(len(flip)))


def test_flip_exchanges_left_and_right_names() -> None:
    for index, other in enumerate(skeleton.FLIP_133):
        name = skeleton.KEYPOINTS_133[index]
        if not name.startswith("face"):
            assert skeleton.KEYPOINTS_133[other] == opposite(name)


def test_flip_of_the_face_is_the_published_one() -> None:
    flip = skeleton.FLIP_133
    expected = {
        23: 39, 31: 31, 40: 49, 44: 45, 50: 50, 53: 53, 54: 58, 56: 56, 59: 68, 60: 67, 61: 66,
        62: 65, 63: 70, 64: 69, 71: 77, 74: 74, 78: 82, 83: 87, 88: 90, 89: 89,
    }  # fmt: skip
    assert {index: flip[index] for index in expected} == expected


def test_joints_are_the_published_ones() -> None:
    body = (0, 5, 6, 7, 8, 9, 10)
    left = (91, 95, 96, 99, 100, 103, 104, 107, 108, 111)
    right = (112, 116, 117, 120, 121, 124, 125, 128, 129, 132)
    assert body + left + right == skeleton.JOINTS_27
    names = [skeleton.KEYPOINTS_133[i] for i in skeleton.JOINTS_27[8:11]]
    assert names == ["left_thumb4", "left_forefinger1", "left_forefinger4"]


def test_flip_of_27_agrees_with_flip_of_133() -> None:
    for index, other in enumerate(skeleton.FLIP_27):
        joint = skeleton.JOINTS_27[index]
        assert skeleton.JOINTS_27[other] == skeleton.FLIP_133[joint]


def test_bones_are_a_symmetric_tree_with_parents_first() -> None:
    bones = set(skeleton.BONES_27)
    flip = skeleton.FLIP_27
    assert len(bones) == 26
    assert sorted(child for _, child in bones) == list(range(1, 27))
    assert {(flip[parent], flip[child]) for parent, child in bones} == bones
    assert all(parent < child for child, parent in enumerate(skeleton.PARENTS_27))
    assert {(parent, child) for child, parent in enumerate(skeleton.PARENTS_27) if child} == bones


def test_body_135_takes_every_shared_point_from_the_133() -> None:
    source = skeleton.BODY_135_FROM_133
    assert [i for i, index in enumerate(source) if index < 0] == [17, 18, 133, 134]
    unused = set(range(133)) - set(source)
    assert unused == {skeleton.LEFT_HAND[0], skeleton.RIGHT_HAND[0]}
    assert source[:17] == tuple(skeleton.BODY)
    assert source[19:25] == tuple(skeleton.FEET)
    assert source[25:65] == (*skeleton.LEFT_HAND[1:], *skeleton.RIGHT_HAND[1:])
    assert source[65:133] == tuple(skeleton.FACE)


def test_pose_flow_keeps_head_arms_and_hands() -> None:
    dropped = {*range(65, 135), *range(19, 25), *range(11, 17)}
    assert tuple(i for i in range(135) if i not in dropped) == skeleton.POSE_FLOW_KEYPOINTS
    assert len(skeleton.POSE_FLOW_KEYPOINTS) == 53


def test_names_convert_layouts() -> None:
    assert skeleton.sources(("b", "x", "a"), ("a", "b", "c")) == (1, -1, 0)
    for names in skeleton.LAYOUTS.values():
        there = skeleton.sources(names, skeleton.KEYPOINTS_133)
        back = skeleton.sources(skeleton.KEYPOINTS_133, names)
        assert all(back[i] == at for at, i in enumerate(there) if i >= 0)


@pytest.mark.parametrize(
    ("layout", "size", "missing", "extra"),
    [
        ("body-135", 135, {"left_hand_root", "right_hand_root"}, 4),
        ("body-25", 137, set(), 4),
        ("holistic", 543, {"left_small_toe", "right_small_toe"}, 412),
    ],
)
def test_what_a_layout_lacks(layout: str, size: int, missing: set[str], extra: int) -> None:
    """`extra` is the number of points that the 133 lack."""
    names, ours = set(skeleton.LAYOUTS[layout]), set(skeleton.KEYPOINTS_133)
    assert len(names) == size
    assert ours - names == missing
    assert len(names - ours) == extra
