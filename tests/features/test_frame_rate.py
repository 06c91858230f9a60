"""Clips at another frame rate: the frames on screen, and points between frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slr_pipeline.features.frame_rate import (
    at_ratio,
    feature_rate,
    keypoints_at_ratio,
    rate_ratio,
    shown_frames,
)

RATES = st.sampled_from([7.5, 15.0, 24.0, 25.0, 29.97, 30.0, 48.0, 50.0, 60.0, 100.0, 120.0])


@pytest.mark.parametrize(
    ("fps", "expected"),
    [(15, 15), (24, 24), (25, 25), (30, 30), (50, 25), (60, 30), (100, 100 / 3), (120, 30)],
)
def test_features_of_fast_video_skip_frames_evenly(fps: float, expected: float) -> None:
    assert feature_rate(fps) == pytest.approx(expected)
    steps = np.diff(at_ratio(240, rate_ratio(fps, feature_rate(fps))))
    assert set(steps.tolist()) == {round(fps / expected)}


def test_a_variable_rate_becomes_the_usual_one() -> None:
    assert feature_rate(8.0, variable=True) == 30
    held = shown_frames(np.array([0, 1, 2, 7, 8.0]), 10)
    assert held.tolist() == [0, 1, 2, 2, 2, 2, 2, 3, 4, 4]
    assert rate_ratio(0.0, 30) == rate_ratio(25, None) == rate_ratio(29.97, 30) == 1


@given(st.integers(1, 300), RATES, RATES)
def test_frames_keep_their_order_and_the_clip_its_length(T: int, fps: float, rate: float) -> None:
    ratio = rate_ratio(fps, rate)
    shown = at_ratio(T, ratio)
    assert len(shown) == max(1, round(T / ratio))
    assert (shown[0] >= 0, shown[-1] < T, (np.diff(shown) >= 0).all()) == (True, True, True)
    # On screen: within one frame of the moment.
    assert np.abs(shown - np.arange(len(shown)) * ratio).max() < max(1, ratio)
    assert np.array_equal(
        at_ratio(2 * T, 2 * ratio) // 2, shown
    )  # every frame twice, twice as fast
    if fps == rate:
        assert shown.tolist() == list(range(T))


@given(RATES, RATES)
def test_steady_movement_stays_steady(fps: float, rate: float) -> None:
    ratio = rate_ratio(fps, rate)
    keypoints = np.ones((100, 2, 3), np.float32)
    keypoints[:, :, 0] = 3 * np.arange(100)[:, None]
    keypoints[50:, 1] = 0  # missing from then on
    moved = keypoints_at_ratio(keypoints, ratio)
    ends = int(99 / ratio)
    np.testing.assert_allclose(np.diff(moved[:ends, 0, 0]), 3 * ratio, atol=1e-3)
    assert set(np.unique(moved[:, 1, 2]).tolist()) == {0, 1}
    assert (moved[moved[:, 1, 2] == 0, 1] == 0).all()
