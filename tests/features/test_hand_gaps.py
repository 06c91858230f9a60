"""Short gaps of a hand are closed; longer ones stay."""

import numpy as np
import pytest

from slr_pipeline.features.hand_gaps import closed_gaps
from slr_pipeline.skeleton import LEFT_HAND, RIGHT_HAND


def moving(frames: int) -> np.ndarray:
    """All keypoints of a person who moves evenly; scores 0.5."""
    keypoints = np.zeros((frames, 133, 3), np.float32)
    keypoints[..., :2] = np.arange(133)[:, None] + 2.0 * np.arange(frames)[:, None, None]
    keypoints[..., 2] = 0.5
    return keypoints


@pytest.mark.parametrize("hand", [LEFT_HAND, RIGHT_HAND])
@pytest.mark.parametrize("gap", [1, 3, 8])
def test_an_even_movement_is_continued_through_a_gap(hand: range, gap: int) -> None:
    truth = moving(20)
    keypoints = truth.copy()
    keypoints[5 : 5 + gap, hand] = 0
    before = keypoints.copy()
    closed, found = closed_gaps(keypoints)
    assert np.allclose(closed, truth, atol=1e-4)
    assert closed.dtype == np.float32
    side = [LEFT_HAND, RIGHT_HAND].index(hand)
    assert np.flatnonzero(~found[:, side]).tolist() == list(range(5, 5 + gap))
    assert found[:, 1 - side].all()
    assert np.array_equal(keypoints, before)


@pytest.mark.parametrize("gap", [slice(0, 3), slice(17, 20), slice(5, 14), slice(0, 20)])
def test_ends_and_longer_gaps_stay_missing(gap: slice) -> None:
    keypoints = moving(20)
    keypoints[gap, LEFT_HAND] = 0
    closed, found = closed_gaps(keypoints)
    assert np.array_equal(closed, keypoints)
    assert not found[gap, 0].any()


def test_a_point_that_an_end_lacks_stays_missing() -> None:
    keypoints = moving(5)
    keypoints[2, LEFT_HAND] = 0
    keypoints[3, LEFT_HAND.start + 4] = 0
    closed, _ = closed_gaps(keypoints)
    assert not closed[2, LEFT_HAND.start + 4].any()
    assert (closed[2, LEFT_HAND.start, 2], closed[2, LEFT_HAND.start, 0]) == (0.5, 95)


def test_no_frames() -> None:
    closed, found = closed_gaps(np.zeros((0, 133, 3), np.float32))
    assert (closed.shape, found.shape) == ((0, 133, 3), (0, 2))
