"""The one-euro filter: smooth at rest, little lag in movement, missing points untouched."""

import numpy as np
import pytest

from slr_pipeline.features.one_euro import smooth


def track(x: np.ndarray, score: np.ndarray | float = 1.0) -> np.ndarray:
    """Keypoints (T, 1, 3) that move in x alone."""
    keypoints = np.zeros((len(x), 1, 3), np.float32)
    keypoints[:, 0, 0] = x
    keypoints[:, 0, 2] = score
    keypoints[keypoints[..., 2] == 0] = 0
    return keypoints


def filtered(
    keypoints: np.ndarray, fps: float = 25.0, cutoff: float = 1.0, beta: float = 0.0
) -> np.ndarray:
    return smooth(
        keypoints, fps=fps, unit_px=512, min_cutoff_hz=cutoff, beta=beta, speed_cutoff_hz=8.0
    )


@pytest.mark.parametrize("length", [0, 1, 40])
def test_a_still_point_is_unchanged(length: int) -> None:
    keypoints = np.full((length, 133, 3), 0.7, np.float32)
    keypoints[..., :2] = 123.25
    assert np.array_equal(filtered(keypoints, beta=200.0), keypoints)


def test_a_shaking_point_shakes_less_and_stays_in_place() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, 500)
    smoothed = filtered(track(200 + noise), beta=200.0)[:, 0, 0]
    assert smoothed[50:].std() < 0.6 * noise[50:].std()
    assert abs(smoothed[50:].mean() - 200) < 0.02


@pytest.mark.parametrize("fps", [12.5, 25.0, 60.0])
def test_a_step_is_low_pass_filtered(fps: float) -> None:
    """With beta 0 the distance to the new position shrinks by 1 - a per frame."""
    x = np.where(np.arange(20) < 5, 100.0, 200.0)
    weight = 1 / (1 + fps / (2 * np.pi * 1.0))
    expected = 200 - 100 * (1 - weight) ** np.arange(1, 16)
    assert filtered(track(x), fps=fps)[5:, 0, 0] == pytest.approx(expected, rel=1e-5)


def test_a_fast_point_lags_less_with_beta() -> None:
    x = 20.0 * np.arange(30)  # 20 px a frame
    lag = {beta: x[-1] - filtered(track(x), beta=beta)[-1, 0, 0] for beta in (0.0, 20.0, 200.0)}
    assert lag[0.0] > 3 * lag[20.0] > 3 * lag[200.0] > 0


def test_missing_points_stay_missing_and_restart_the_filter() -> None:
    x = np.r_[np.full(10, 100.0), np.zeros(3), np.full(10, 300.0)]
    score = np.r_[np.full(10, 0.9), np.zeros(3), np.full(10, 0.4)]
    keypoints = track(x, score)
    # The clip starts anew after the gap: the earlier position has no effect.
    assert np.array_equal(filtered(keypoints), keypoints)


def test_points_do_not_mix_and_scores_stay() -> None:
    rng = np.random.default_rng(2)
    keypoints = rng.uniform(1, 400, (30, 5, 3)).astype(np.float32)
    keypoints[rng.random((30, 5)) < 0.2] = 0
    joint = filtered(keypoints, beta=200.0)
    for point in range(5):
        alone = filtered(keypoints[:, [point]], beta=200.0)
        assert np.array_equal(alone[:, 0], joint[:, point])
    assert np.array_equal(joint[..., 2], keypoints[..., 2])
    assert not joint[keypoints[..., 2] == 0].any()
