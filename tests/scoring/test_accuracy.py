import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.stats import binomtest

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


@pytest.mark.parametrize(("correct", "samples"), [(0, 3), (3, 3), (9, 10), (32, 4000)])
def test_interval_is_that_of_wilson(correct: int, samples: int) -> None:
    logits = np.eye(2, dtype=np.float32)[[1] * correct + [0] * (samples - correct)]
    scores = evaluate(logits, [1] * samples)
    expected = binomtest(correct, samples).proportion_ci(confidence_level=0.95, method="wilson")
    assert (scores["top1_low"], scores["top1_high"]) == (expected.low, expected.high)


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
