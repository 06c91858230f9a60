"""Keypoint quality: nobody, missing hands, jitter, swapped hands, limb lengths."""

import numpy as np
import pytest

from slr_pipeline.features.keypoint_quality import (
    KeypointQuality,
    jitter,
    keypoint_quality,
    limb_spread,
    swapped_frames,
)
from slr_pipeline.skeleton import FLIP_133, LEFT_HAND, RIGHT_HAND

LEFT_WRIST, RIGHT_WRIST = 9, 10
LEFT, RIGHT = list(LEFT_HAND), list(RIGHT_HAND)


def signer(T: int) -> np.ndarray:
    """A still signer: shoulders 100 px apart, hands of 40 px far from each other."""
    keypoints = np.ones((T, 133, 3), np.float32)
    keypoints[..., :2] = 250, 100
    for index, place in {
        5: (300, 200),
        6: (200, 200),
        7: (320, 280),
        8: (180, 280),
        LEFT_WRIST: (310, 350),
        RIGHT_WRIST: (190, 350),
    }.items():
        keypoints[:, index, :2] = place
    fingers = np.stack([np.linspace(0, 40, 21), np.linspace(0, 30, 21) % 11], axis=-1)
    keypoints[:, LEFT, :2] = np.add(fingers, (310, 350))
    keypoints[:, RIGHT, :2] = np.add(fingers * (-1, 1), (190, 350))
    return keypoints


NOBODY = np.zeros((30, 133, 3), np.float32)


@pytest.mark.parametrize(
    ("keypoints", "expected"),
    [
        (signer(10), KeypointQuality(1.0, 0.0, 0.0, 0.0, jitter=0.0, swapped=0.0, limb_spread=0.0)),
        (signer(0), KeypointQuality()),
        (NOBODY, KeypointQuality(0.0, 1.0, 1.0, 1.0, None, 0.0, None)),
        (NOBODY[:1], KeypointQuality(0.0, 1.0, 1.0, 1.0, None, 0.0, None)),
    ],
)
def test_a_still_signer_no_frames_and_nobody(
    keypoints: np.ndarray, expected: KeypointQuality
) -> None:
    assert keypoint_quality(keypoints) == expected


def test_missing_hands_are_counted_per_hand_and_together() -> None:
    keypoints = signer(10)
    keypoints[:5, LEFT] = 0
    keypoints[3:6, RIGHT] = 0
    keypoints[9] = 0
    actual = keypoint_quality(keypoints)
    assert actual.person == 0.9
    assert (actual.missing_left, actual.missing_right) == (0.6, 0.4)
    assert actual.missing_hands == pytest.approx(0.3)


def test_jitter_of_noise_is_as_documented() -> None:
    keypoints = signer(400)
    noise = np.random.default_rng(1).normal(0, 0.5, (400, 133, 2))
    noise[:, [5, 6]] = 0  # so that the shoulders stay 100 px apart
    keypoints[..., :2] += noise
    assert jitter(keypoints) == pytest.approx(2.9 * 0.5 / 100, rel=0.05)


def test_jitter_ignores_size_position_and_steady_movement() -> None:
    keypoints = signer(60)
    keypoints[..., :2] += np.random.default_rng(1).normal(0, 1, (60, 133, 2))
    expected = jitter(keypoints)
    moved = keypoints.copy()
    moved[..., :2] = 3 * moved[..., :2] + 40 + 5 * np.arange(60)[:, None, None]
    assert jitter(moved) == pytest.approx(expected, rel=1e-3)


def test_a_few_missing_or_jumping_frames_make_no_jitter() -> None:
    keypoints = signer(60)
    keypoints[20:25, :, :2] += 80
    keypoints[40:45] = 0
    assert jitter(keypoints) == 0


def test_a_hand_on_the_other_hand_is_a_swap() -> None:
    keypoints = signer(10)
    keypoints[3:5, LEFT] = keypoints[3:5, RIGHT]
    keypoints[7, RIGHT] = keypoints[7, LEFT]
    assert np.flatnonzero(swapped_frames(keypoints)).tolist() == [3, 4, 7]
    assert keypoint_quality(keypoints).swapped == pytest.approx(0.3)


def test_a_hand_on_the_other_arm_is_a_swap_even_alone() -> None:
    keypoints = signer(10)
    keypoints[2, LEFT] = keypoints[2, RIGHT]
    keypoints[2, RIGHT] = 0
    keypoints[6, LEFT + RIGHT] = keypoints[6, RIGHT + LEFT]
    assert np.flatnonzero(swapped_frames(keypoints)).tolist() == [2, 6]


def test_hands_that_touch_or_cross_are_no_swap() -> None:
    keypoints = signer(2)
    # The left forearm crosses the right: wrist and hand move together.
    keypoints[0, [LEFT_WRIST, *LEFT], :2] -= (140, 0)
    # Side by side, three quarters of a hand apart.
    keypoints[1, [LEFT_WRIST, *LEFT], :2] -= (70, 0)
    keypoints[1, [RIGHT_WRIST, *RIGHT], :2] += (20, 0)
    assert not swapped_frames(keypoints).any()


def test_a_swap_of_incomplete_hands_or_arms() -> None:
    keypoints = signer(7)
    keypoints[:, LEFT] = keypoints[:, RIGHT]
    keypoints[3] = signer(1)
    keypoints[0, LEFT[5:12]] = 0
    keypoints[0, RIGHT[15:]] = 0
    keypoints[1, LEFT[5:]] = 0  # too few
    keypoints[2, RIGHT[0]] = 0
    keypoints[3, LEFT[5:12]] = 0
    keypoints[4:, RIGHT] = 0
    keypoints[4, LEFT_WRIST] = 0
    keypoints[5, RIGHT_WRIST] = 0
    keypoints[6, LEFT] = 0
    assert np.flatnonzero(swapped_frames(keypoints)).tolist() == [0, 2]


def test_the_mirror_image_has_the_same_quality() -> None:
    rng = np.random.default_rng(3)
    keypoints = signer(30)
    keypoints[..., :2] += rng.normal(0, 15, (30, 133, 2))
    keypoints[rng.random((30, 133)) < 0.1] = 0
    keypoints[10:14, LEFT] = keypoints[10:14, RIGHT]
    mirrored = keypoints[:, list(FLIP_133)].copy()
    mirrored[..., 0] = np.where(mirrored[..., 2] > 0, 511 - mirrored[..., 0], 0)
    first, second = keypoint_quality(keypoints), keypoint_quality(mirrored)
    assert (first.missing_left, first.missing_right) == (second.missing_right, second.missing_left)
    assert first.jitter == pytest.approx(second.jitter, rel=1e-5)
    assert first.limb_spread == pytest.approx(second.limb_spread, rel=1e-5)
    assert np.array_equal(swapped_frames(keypoints), swapped_frames(mirrored))


def test_limb_spread_of_the_worst_limb() -> None:
    """Lengths 40, 80, 120 px in equal parts: median 80, median deviation 40."""
    keypoints = signer(30)
    keypoints[:, 7, :2] = 300, 260
    keypoints[:, LEFT_WRIST, 0] = 300
    keypoints[:, LEFT_WRIST, 1] = 260 + np.repeat([40, 80, 120], 10)
    assert limb_spread(keypoints) == pytest.approx(1.4826 * 40 / 80)
    keypoints[:10, LEFT_WRIST] = 0
    assert limb_spread(keypoints) == pytest.approx(1.4826 * 20 / 100)
