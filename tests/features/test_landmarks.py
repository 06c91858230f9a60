"""Landmarks in frames of reference that no move, turn or scale of the picture changes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from slr_pipeline.features.landmarks import (
    HANDS,
    SHAPE_VALUES,
    Points,
    at_moments,
    hand_shape,
    in_body_frame,
    movement,
)
from slr_pipeline.skeleton import FLIP_57, KEYPOINTS_133, LANDMARKS_57, RIGHT_HAND

SHOULDERS = (5, 6)


def person(T: int = 12) -> NDArray[np.float32]:
    """Keypoints (T, 133, 3) of a person whose right hand is never found."""
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(0, 300, (T, 133, 3)).astype(np.float32)
    keypoints[:, 5] = (220, 140, 1)
    keypoints[:, 6] = (120, 150, 1)
    keypoints[..., 2] = rng.uniform(0.1, 1, (T, 133))
    keypoints[:, RIGHT_HAND] = 0
    return keypoints


def test_the_points() -> None:
    names = [KEYPOINTS_133[i] for i in LANDMARKS_57]
    assert len(set(names)) == 57
    mirrored = [names[i] for i in FLIP_57]
    for name, other in zip(names, mirrored, strict=True):
        if name.startswith("left"):
            assert other == name.replace("left", "right")
    assert [FLIP_57[i] for i in FLIP_57] == list(range(57))


def test_the_shoulders_are_the_unit() -> None:
    points = in_body_frame(person())
    np.testing.assert_allclose(np.median(points.xy[:, 1], axis=0), (0.5, 0), atol=1e-6)
    np.testing.assert_allclose(np.median(points.xy[:, 2], axis=0), (-0.5, 0), atol=1e-6)


def test_up_stays_up() -> None:
    keypoints = person()
    keypoints[:, 0, :2] = (180, 45)  # 100 px above the shoulders
    assert (in_body_frame(keypoints).xy[:, 0, 1] < -0.9).all()


@pytest.mark.parametrize(
    ("angle", "scale", "shift"),
    [(0, 1, (70, -30)), (0, 2.5, (0, 0)), (20, 1, (0, 0)), (-75, 0.3, (9, 9))],
)
def test_the_picture_may_move_turn_and_grow(
    angle: float, scale: float, shift: tuple[float, float]
) -> None:
    keypoints = person()
    cos, sin = scale * np.cos(np.deg2rad(angle)), scale * np.sin(np.deg2rad(angle))
    moved = keypoints.copy()
    moved[..., :2] = keypoints[..., :2] @ np.array([[cos, sin], [-sin, cos]]) + shift
    moved[keypoints[..., 2] == 0] = 0
    before, after = in_body_frame(keypoints), in_body_frame(moved)
    np.testing.assert_allclose(after.xy, before.xy, atol=1e-4)
    np.testing.assert_allclose(hand_shape(after, HANDS[0]), hand_shape(before, HANDS[0]), atol=1e-3)


@pytest.mark.parametrize("missing", [[5], SHOULDERS, range(133)])
def test_without_shoulders_or_anything_values_are_finite(missing: list[int]) -> None:
    keypoints = person()
    keypoints[:, missing] = 0
    points = in_body_frame(keypoints)
    assert np.isfinite(points.xy).all()
    assert np.abs(points.xy).max() <= 1
    for hand in HANDS:
        shape = hand_shape(points, hand)
        assert shape.shape == (12, SHAPE_VALUES)
        assert np.isfinite(shape).all()


def test_shoulders_at_one_place() -> None:
    keypoints = person()
    keypoints[:, SHOULDERS] = (100, 100, 1)
    assert np.isfinite(in_body_frame(keypoints).xy).all()


def test_the_shape_of_a_hand_by_hand() -> None:
    """A stretched forefinger up, all other points at the root, palm of 2."""
    xy, seen = np.zeros((1, 57, 2)), np.ones((1, 57), bool)
    xy[0, 15:36] = (5, 5)
    xy[0, 15 + 9] = (5, 7)
    xy[0, [20, 21, 22, 23], 1] = (5 - 2, 5 - 4, 5 - 6, 5 - 8)
    (shape,) = hand_shape(Points(xy, seen), HANDS[0])
    corners, distances, bends = shape[:40].reshape(20, 2), shape[40:55], shape[55:]
    assert corners[8].tolist() == [0, 1]
    assert corners[4:8, 1].tolist() == [-1, -2, -3, -4]
    assert sorted(distances)[-5:] == [4] * 5  # of the forefinger's tip from root and tips
    assert sorted(distances)[:10] == [0] * 10
    assert bends[3:6].tolist() == [1, 1, 1]


def test_a_missing_hand_has_no_shape() -> None:
    points = in_body_frame(person())
    assert not hand_shape(points, HANDS[1]).any()
    assert not points.xy[:, HANDS[1]].any()


def test_between_two_frames() -> None:
    xy = np.zeros((3, 2, 2))
    xy[:, :, 0] = [[0, 0], [10, 0], [20, 40]]
    seen = np.array([[True, True], [True, False], [True, True]])
    points = at_moments(Points(xy, seen), np.array([-5, 0.25, 0.75, 1.75, 9]))
    assert points.xy[:, 0, 0].tolist() == [0, 2.5, 7.5, 17.5, 20]
    assert points.seen[:, 0].all()
    # The second point is missing in frame 1: no mixture of a position and nothing.
    assert points.seen[:, 1].tolist() == [True, True, False, True, True]
    assert points.xy[:, 1, 0].tolist() == [0, 0, 0, 40, 40]


def test_movement_needs_both_frames() -> None:
    values = np.array([[1.0], [3.0], [0.0], [7.0], [8.0]])
    there = np.array([[True], [True], [False], [True], [True]])
    assert movement(values, there)[:, 0].tolist() == [0, 2, 0, 0, 1]
