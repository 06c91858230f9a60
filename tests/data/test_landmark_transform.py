"""Keypoints to the values of a landmark stream."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from slr_pipeline.data.landmark_transform import LandmarkTransform, mirrored
from slr_pipeline.features.landmarks import in_body_frame
from slr_pipeline.schema import LANDMARK_VALUES, LandmarkRepresentation
from slr_pipeline.skeleton import FLIP_133, LEFT_HAND, RIGHT_HAND

PLAIN = LandmarkTransform(
    representation="position",
    frames=16,
    trim=True,
    flip_probability=0.0,
    speed_range=0.0,
    rotation_deg=0.0,
    scale_range=0.0,
    shear_range=0.0,
    shift_range=0.0,
    time_masks=0,
    hand_drop_probability=0.0,
)
CHANGES = {
    "flip_probability": 1.0,
    "speed_range": 0.3,
    "rotation_deg": 15.0,
    "scale_range": 0.2,
    "shear_range": 0.1,
    "shift_range": 0.1,
    "time_masks": 2,
    "hand_drop_probability": 1.0,
}
BOTH = pytest.mark.parametrize("kind", get_args(LandmarkRepresentation))


def person(T: int = 30) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    start, way = rng.uniform(50, 250, (133, 2)), rng.uniform(-40, 40, (133, 2))
    keypoints = np.ones((T, 133, 3), np.float32)
    keypoints[..., :2] = start + way * np.linspace(0, 1, T)[:, None, None]
    return keypoints


@BOTH
@pytest.mark.parametrize("T", [1, 2, 16, 100])
def test_shape_and_finite_values(kind: LandmarkRepresentation, T: int) -> None:
    for missing in ([], LEFT_HAND, range(133)):
        keypoints = person(T)
        keypoints[:, missing] = 0
        for transform in (PLAIN, replace(PLAIN, **CHANGES)):
            for rng in (None, np.random.default_rng(1)):
                values = replace(transform, representation=kind)(keypoints, rng)
                assert values.shape == (LANDMARK_VALUES[kind], 16)
                assert values.dtype == np.float32
                assert np.isfinite(values).all()


def test_without_changes_an_augmented_item_is_the_plain_one() -> None:
    np.testing.assert_allclose(
        PLAIN(person(), np.random.default_rng(0)), PLAIN(person(), None), atol=1e-5
    )


@pytest.mark.parametrize("name", CHANGES)
def test_every_setting_changes_an_item(name: str) -> None:
    transform = replace(PLAIN, **{name: CHANGES[name]})
    items = [transform(person(), np.random.default_rng(seed)) for seed in range(3)]
    assert any(not np.allclose(item, PLAIN(person(), None), atol=1e-3) for item in items)
    np.testing.assert_array_equal(items[0], transform(person(), np.random.default_rng(0)))


def test_the_mirrored_picture_gives_the_mirrored_points() -> None:
    keypoints = person()
    picture = keypoints[:, list(FLIP_133)]
    picture[..., 0] = 320 - picture[..., 0]
    points = in_body_frame(keypoints)
    np.testing.assert_allclose(in_body_frame(picture).xy, mirrored(points).xy, atol=1e-5)
    np.testing.assert_array_equal(mirrored(mirrored(points)).xy, points.xy)


@BOTH
def test_padding_cropping_and_scaling_the_picture_change_nothing(
    kind: LandmarkRepresentation,
) -> None:
    transform = replace(PLAIN, representation=kind)
    other = person()
    other[..., :2] = 0.6 * other[..., :2] + (0, 140)
    np.testing.assert_allclose(transform(other, None), transform(person(), None), atol=1e-4)


def test_a_short_gap_of_a_hand_is_closed_and_a_long_one_said() -> None:
    keypoints = person(32)
    keypoints[10:14, LEFT_HAND] = 0
    np.testing.assert_allclose(PLAIN(keypoints, None), PLAIN(person(32), None), atol=1e-4)
    keypoints[4:20, RIGHT_HAND] = 0
    seen = PLAIN(keypoints, None)[-2:]
    assert seen[0].all()
    assert seen[1].tolist() == [1, 1, *[0] * 8, *[1] * 6]


def test_even_movement_is_the_same_in_all_frames() -> None:
    keypoints = person(16)
    keypoints[:, 5:7] = keypoints[:1, 5:7]  # the body's frame does not move
    values = replace(PLAIN, representation="motion", trim=False)(keypoints, None)
    first, second = values[:114], values[254 : 254 + 114]
    np.testing.assert_allclose(first[:, 1:], first[:, 1:2] * np.ones((1, 15)), atol=1e-4)
    assert not first[:, 0].any()
    np.testing.assert_allclose(second[:, 2:], 0, atol=1e-3)


@BOTH
def test_a_mirrored_view_is_the_mirrored_item(kind: LandmarkRepresentation) -> None:
    transform = replace(PLAIN, representation=kind)
    always = replace(transform, flip_probability=1.0)
    expected = always(person(), np.random.default_rng(0))
    np.testing.assert_allclose(transform(person(), None, mirror=True), expected, atol=1e-4)


def test_a_speed_shows_the_middle_of_a_clip_or_holds_its_ends() -> None:
    keypoints = person(64)
    keypoints[:, 5:7] = keypoints[:1, 5:7]  # the body's frame does not move
    points, transform = slice(114), replace(PLAIN, trim=False)
    slow, fast = (transform(keypoints, None, speed=speed)[points] for speed in (0.5, 2.0))
    np.testing.assert_allclose(slow, transform(keypoints[16:48], None)[points], atol=1e-4)
    for end in (slice(0, 4), slice(12, 16)):
        held = fast[:, end]
        np.testing.assert_allclose(held, held[:, :1] * np.ones((1, 4)), atol=1e-6)
    assert not np.allclose(fast[:, 4], fast[:, 5], atol=1e-3)
