"""The reject option: known answers, properties for any confidences, and the promised error."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from slr_pipeline.scoring.ensemble import Fused
from slr_pipeline.scoring.rejection import (
    CURVE_POINTS,
    answer_confidences,
    area_under,
    choose_threshold,
    is_accepted,
    least_samples,
    risk_coverage,
    summarise,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Few distinct values: many answers share a confidence.
ANSWERS = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=60)


def arrays(answers: list[tuple[int, bool]]) -> tuple[Floats, Bools]:
    confidence, correct = zip(*answers, strict=True)
    return np.asarray(confidence) / 12, np.asarray(correct)


def test_the_curve_of_four_answers() -> None:
    """0.9 right, 0.8 right and wrong, 0.5 wrong."""
    confidence = np.asarray([0.5, 0.8, 0.9, 0.8])
    curve = risk_coverage(confidence, np.asarray([False, True, True, False]))
    assert curve.to_dict("list") == {
        "confidence": [0.9, 0.8, 0.5],
        "accepted": [1, 3, 4],
        "errors": [0, 1, 2],
        "coverage": [0.25, 0.75, 1.0],
        "risk": [0.0, 1 / 3, 0.5],
    }
    assert area_under(curve) == pytest.approx(0.25 * 0 + 0.5 / 3 + 0.25 * 0.5)


def test_the_area_is_the_mean_risk_between_the_best_and_the_worst_order() -> None:
    correct = np.random.default_rng(1).random(200) < 0.8
    order = np.arange(200, 0, -1.0)
    found = area_under(risk_coverage(order, correct))
    by_hand = np.mean([(~correct[:k]).mean() for k in range(1, 201)])
    assert found == pytest.approx(by_hand)
    summary = summarise(order, correct, None)
    assert summary["area"] == found
    error = 1 - correct.mean()
    # Geifman et al., 2019, eq. 3: the limit for many samples.
    assert summary["best_area"] == pytest.approx(error + (1 - error) * np.log(1 - error), abs=0.005)
    assert summary["best_area"] < found < area_under(risk_coverage(order, np.sort(correct)))
    assert area_under(risk_coverage(np.full(200, 0.5), correct)) == pytest.approx(error)


@given(ANSWERS, st.sampled_from([0.05, 0.1, 0.25, 0.5]))
def test_the_threshold_is_the_lowest_that_keeps_its_promise(
    answers: list[tuple[int, bool]], target: float
) -> None:
    confidence, correct = arrays(answers)

    def keeps(threshold: float) -> bool:
        taken = confidence >= threshold
        return bool(((taken & ~correct).sum() + 1) / taken.sum() <= target)

    allowed = [t for t in confidence.tolist() if t > 0 and keeps(t)]
    found = choose_threshold(confidence, correct, target)
    assert found == (min(allowed) if allowed else None)
    if found is not None:
        assert (confidence >= found).sum() >= least_samples(target)
    shuffled = np.random.default_rng(0).permutation(len(correct))
    assert choose_threshold(confidence[shuffled], correct[shuffled], target) == found


@pytest.mark.parametrize(("clips", "exists"), [(19, False), (20, True)])
def test_a_few_right_answers_are_too_few(clips: int, exists: bool) -> None:
    confidence = np.linspace(0.5, 1, clips)
    found = choose_threshold(confidence, np.ones(clips, np.bool_), 0.05)
    assert found == (0.5 if exists else None)
    assert least_samples(0.05) == 20


def test_new_clips_have_at_most_the_promised_errors() -> None:
    """The mean over many small sets, if the confidence says nothing and every fifth clip is wrong.

    The lowest threshold by the plain share of errors does not keep the promise.
    """
    rng, target, N, wrong = np.random.default_rng(5), 0.1, 60, 0.2
    found, plain = [], []
    for _ in range(300):
        confidence, correct = rng.random(N), rng.random(N) >= wrong
        curve = risk_coverage(confidence, correct)
        thresholds = (
            (found, choose_threshold(confidence, correct, target)),
            (plain, curve.loc[curve["risk"] <= target, "confidence"].min()),
        )
        for errors, threshold in thresholds:
            if threshold is None or np.isnan(threshold):
                errors.append(0.0)
            else:  # a new clip is accepted with probability 1 - threshold
                accepted = (confidence >= threshold).sum() / (N + 1)
                errors.append(wrong * (1 - threshold) / accepted)
    assert 0.01 < np.mean(found) <= target
    assert np.mean(plain) > 1.5 * target


@given(ANSWERS)
def test_a_summary_counts_accepted_answers(answers: list[tuple[int, bool]]) -> None:
    confidence, correct = arrays(answers)
    everything, some, nothing = (summarise(confidence, correct, t) for t in (None, 0.5, 2.0))
    assert everything["coverage"] == 1
    assert everything["error"] == pytest.approx(1 - correct.mean())
    assert some["accepted"] == is_accepted(confidence, 0.5).sum()
    if some["accepted"]:
        assert some["error_low"] <= some["error"] <= some["error_high"]
    assert (nothing["accepted"], nothing["error"], nothing["error_low"]) == (0, None, None)
    for summary in (everything, some, nothing):
        assert summary["curve"]["coverage"][-1] == 1
        assert summary["curve"]["risk"][-1] == everything["error"]
        assert 0 <= summary["best_area"] <= summary["area"] + 1e-12 <= 1 + 1e-12


def test_a_long_curve_is_thinned() -> None:
    confidence = np.linspace(0, 1, 5000)
    curve = summarise(confidence, confidence > 0.3, None)["curve"]
    assert len(curve["risk"]) == len(curve["coverage"]) == CURVE_POINTS
    assert curve["coverage"] == sorted(curve["coverage"])


def test_answers_of_the_class_prior_have_no_confidence() -> None:
    fused = Fused(np.log([[0.9, 0.1], [0.25, 0.75]]), np.asarray([2, 0]))
    confidence = answer_confidences(fused)
    assert confidence.tolist() == [pytest.approx(0.9), 0]
    assert is_accepted(confidence, 0.5).tolist() == [True, False]
    assert is_accepted(confidence, None).tolist() == [True, True]
