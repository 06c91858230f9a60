import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from slr_pipeline.scoring.accuracy import evaluate


def test_scores_by_hand() -> None:
    logits = np.zeros((4, 10), np.float32)
    logits[0, 3] = 2  # right
    logits[1, 5] = 2  # true class 9: equal logits rank by class, so tenth
    logits[2, :5] = [5, 4, 3, 2, 1]  # true class 4 ranks fifth
    logits[3, :5] = [5, 4, 3, 2, 1]  # true class 5 ranks sixth
    scores = evaluate(logits, [3, 9, 4, 5])
    assert scores["samples"] == 4
    assert scores["correct"] == 1
    assert scores["top1"] == 0.25
    assert scores["top5"] == 0.5
    assert scores["chance"] == 0.1
    tail = np.log(5 + np.exp([5.0, 4, 3, 2, 1]).sum())
    losses = [np.log(9 + np.exp(2)) - 2, np.log(9 + np.exp(2)), tail - 1, tail]
    assert scores["loss"] == pytest.approx(np.mean(losses))


def test_interval_is_that_of_wilson() -> None:
    """9 of 10: centre and half width of Wilson, 1927, with z = 1.96."""
    logits = np.eye(2, dtype=np.float32)[[1] * 9 + [0]]
    scores = evaluate(logits, [1] * 10)
    z, p, n = 1.959964, 0.9, 10
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert scores["top1_low"] == pytest.approx(centre - half, abs=1e-6)
    assert scores["top1_high"] == pytest.approx(centre + half, abs=1e-6)


def test_huge_logits_give_a_finite_loss() -> None:
    assert evaluate(np.array([[1e30, -1e30]], np.float32), [0])["loss"] == 0


@given(
    logits=hnp.arrays(np.float32, (7, 6), elements=st.floats(-100, 100, width=32)),
    labels=st.lists(st.integers(0, 5), min_size=7, max_size=7),
)
def test_scores_agree_with_arg_max(logits: NDArray[np.float32], labels: list[int]) -> None:
    scores = evaluate(logits, labels)
    assert scores["correct"] == (logits.argmax(axis=1) == labels).sum()
    assert scores["top1"] <= scores["top5"] <= 1
    assert 0 <= scores["top1_low"] <= scores["top1"] <= scores["top1_high"] <= 1
    assert scores["loss"] >= 0
