"""PCK of detected keypoints."""

import numpy as np
import pytest

from benchmarks.keypoint_accuracy import keypoint_accuracy


def test_keypoints_by_hand() -> None:
    truth = np.zeros((2, 4, 3))
    truth[..., 2] = 1
    truth[0, 3, 2] = 0  # hidden: does not count
    found = truth.copy()
    found[..., 2] = 0.5
    found[0, 1, :2] = (3, 4)  # 5 px of 50: on the threshold, correct
    found[0, 2, :2] = (6, 8)  # 10 px of 50: wrong
    found[0, 3, :2] = (99, 99)
    found[1, 0] = 0  # missing: wrong, though (0, 0) is the right place
    score = keypoint_accuracy(found, truth, scale_px=np.array([50.0, 50.0]), threshold=0.1)
    assert score.visible == 7
    assert score.recall == pytest.approx(6 / 7)
    assert score.pck == pytest.approx(5 / 7)
    assert score.median_error == 0


def test_each_frame_has_its_own_scale() -> None:
    truth = np.ones((2, 1, 3))
    found = truth + np.array([10, 0, 0])
    score = keypoint_accuracy(found, truth, scale_px=np.array([50.0, 200.0]), threshold=0.1)
    assert (score.pck, score.recall) == (0.5, 1)
    assert score.median_error == pytest.approx((0.2 + 0.05) / 2)


def test_is_independent_of_image_size() -> None:
    generator = np.random.default_rng(0)
    truth = generator.uniform(1, 100, (5, 7, 3))
    found = truth + generator.normal(0, 5, truth.shape) * (1, 1, 0)
    scale = generator.uniform(40, 60, 5)
    larger = np.array([2, 2, 1])
    once = keypoint_accuracy(found, truth, scale, 0.1)
    assert keypoint_accuracy(found * larger, truth * larger, scale * 2, 0.1) == once
    assert 0 < once.pck < 1


def test_nothing_visible_gives_nan() -> None:
    nothing = np.zeros((3, 2, 3))
    score = keypoint_accuracy(nothing, nothing, scale_px=np.ones(3), threshold=0.1)
    assert score.visible == 0
    assert np.isnan([score.recall, score.pck, score.median_error]).all()
    score = keypoint_accuracy(nothing, np.ones((3, 2, 3)), np.ones(3), threshold=0.1)
    assert (score.visible, score.recall, score.pck) == (6, 0, 0)
    assert np.isnan(score.median_error)  # nothing detected
