"""Statistics: known answers, invariances, and published submissions."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom

from slr_pipeline.errors import DataError
from slr_pipeline.io.submission import read_predictions
from slr_pipeline.scoring.statistics import (
    Interval,
    accuracy_by,
    bootstrap,
    bootstrap_signers,
    confidences,
    expected_calibration_error,
    macro_recall,
    mcnemar_exact,
    reliability,
    worst,
)
from tests.shared_data import NEEDS_AUTSL, SHARED


def right(correct: int, samples: int) -> NDArray[np.bool_]:
    return np.arange(samples) < correct


class TestBootstrap:
    def test_equals_drawing_samples(self) -> None:
        correct = right(45, 60)
        drawn = np.random.default_rng(7).choice(correct, (10_000, 60)).mean(axis=1)
        low, high = np.percentile(drawn, [2.5, 97.5])
        found = bootstrap(correct)
        assert found.low == pytest.approx(low, abs=1 / 60)
        assert found.high == pytest.approx(high, abs=1 / 60)
        assert found.low < 45 / 60 < found.high

    def test_one_seed_gives_one_interval(self) -> None:
        correct = right(450, 600)
        assert bootstrap(correct, seed=3) == bootstrap(correct, seed=3)
        signers = [f"s{n % 6}" for n in range(600)]
        assert bootstrap_signers(correct, signers) == bootstrap_signers(correct, signers)

    @pytest.mark.parametrize("samples", [0, 9])
    def test_none_or_all_right_has_no_width(self, samples: int) -> None:
        assert bootstrap(right(samples, 9)) == Interval(samples / 9, samples / 9)

    def test_signers_by_hand(self) -> None:
        # Two signers, one all right, one all wrong. A quarter of the draws is one of them twice,
        # so the interval is [0, 1].
        correct = np.array([True, True, True, False])
        assert bootstrap_signers(correct, ["a", "a", "a", "b"]) == Interval(0, 1)

    def test_signers_that_differ_widen_the_interval(self) -> None:
        signers = [f"s{n // 100}" for n in range(600)]
        alike = np.arange(600) % 4 > 0
        unlike = np.arange(600) < 450
        widths = []
        for correct in (alike, unlike):
            found = bootstrap_signers(correct, signers)
            assert found is not None
            widths.append(found.high - found.low)
        single = bootstrap(alike)
        assert widths[0] == 0
        assert widths[1] > 3 * (single.high - single.low)

    @pytest.mark.parametrize("signers", [["a", "a", "a"], ["a", "b", None]])
    def test_one_signer_or_unknown_signers_give_no_interval(
        self, signers: list[str | None]
    ) -> None:
        assert bootstrap_signers(right(2, 3), signers) is None


class TestMcNemar:
    def test_by_hand(self) -> None:
        # 5 against 1: 2 (C(6,0) + C(6,1)) / 2^6
        a = np.array([True] * 5 + [False] + [True] * 10)
        b = np.array([False] * 5 + [True] + [True] * 10)
        found = mcnemar_exact(a, b)
        assert (found.only_a, found.only_b) == (5, 1)
        assert found.p == pytest.approx(2 * 7 / 64)

    @given(st.integers(0, 60), st.integers(0, 60))
    def test_is_twice_the_smaller_tail(self, only_a: int, only_b: int) -> None:
        a = np.array([True] * only_a + [False] * only_b + [True])
        b = np.array([False] * only_a + [True] * only_b + [True])
        p = mcnemar_exact(a, b).p
        tail = binom.cdf(min(only_a, only_b), only_a + only_b, 0.5)
        assert p == pytest.approx(min(1, 2 * tail), rel=1e-9)
        assert mcnemar_exact(b, a).p == p


def test_macro_recall_weighs_classes_equally() -> None:
    labels = np.array([0, 0, 0, 0, 2, 5])
    predicted = np.array([0, 0, 0, 1, 2, 0])
    assert macro_recall(predicted, labels) == pytest.approx((3 / 4 + 1 + 0) / 3)


class TestReliability:
    def test_by_hand(self) -> None:
        confidence = np.array([0.5, 0.3, 0.6, 1.0, 0.0])
        found = reliability(confidence, np.array([True, False, False, True, False]), bins=2)
        assert found["samples"].tolist() == [3, 2]  # the edge 0.5 is in the lower bin
        np.testing.assert_allclose(found["accuracy"], [1 / 3, 1 / 2])
        np.testing.assert_allclose(found["confidence"], [0.8 / 3, 0.8])
        error = (3 * (1 / 3 - 0.8 / 3) + 2 * (0.8 - 0.5)) / 5
        assert expected_calibration_error(found) == pytest.approx(error)

    def test_confidence_is_the_largest_probability(self) -> None:
        logits = np.log([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]]) + 5
        np.testing.assert_allclose(confidences(logits), [0.7, 0.4])

    def test_empty_bins_do_not_count(self) -> None:
        found = reliability(np.array([0.99, 0.99]), np.array([True, False]))
        assert len(found) == 15
        assert found["accuracy"][:14].isna().all()
        assert expected_calibration_error(found) == pytest.approx(0.49)


def test_counts_by_group_and_the_worst_groups() -> None:
    correct = np.array([True, True, False, True, False, False, True, False, False])
    groups = accuracy_by([*"bababc", None, *"dd"], correct)
    assert groups.columns.tolist() == ["group", "samples", "correct"]
    a, b, c, d = ["a", 2, 2], ["b", 3, 1], ["c", 1, 0], ["d", 2, 0]
    assert groups.to_numpy().tolist() == [a, b, c, d]
    assert worst(groups, 3).to_numpy().tolist() == [d, c, b]
    assert accuracy_by([None], right(1, 1)).to_dict("records") == []


UNEQUAL = "expected the same samples in each"


@pytest.mark.parametrize(
    ("statistic", "line"),
    [
        (lambda: mcnemar_exact(right(1, 2), right(1, 3)), UNEQUAL),
        (lambda: macro_recall(np.array([1]), np.array([1, 2])), UNEQUAL),
        (lambda: reliability(np.array([0.5]), right(1, 2)), UNEQUAL),
        (lambda: accuracy_by(["a"], right(1, 2)), UNEQUAL),
        (lambda: bootstrap_signers(right(1, 2), ["a"]), UNEQUAL),
        (lambda: bootstrap(right(0, 0)), "no samples"),
    ],
)
def test_wrong_samples_are_refused(statistic: Callable[[], object], line: str) -> None:
    with pytest.raises(DataError, match=line):
        statistic()


@NEEDS_AUTSL
@pytest.mark.parametrize(
    ("submission", "labels", "percent"),
    [
        ("RGB_TEST_VTN_HCPF", "test_labels", 92.92),  # 3477 of 3742
        ("RGBD_TEST_VTN_HCPF_D", "test_labels", 93.32),  # 3492 of 3742
        ("RGB_DEV_VTN_HCPF", "validation_labels", 90.83),
        ("RGBD_DEV_VTN_HCPF_D", "validation_labels", 91.67),
    ],
)
def test_published_submissions_score_what_was_published(
    submission: str, labels: str, percent: float
) -> None:
    names, correct = published(submission, labels)
    assert round(100 * correct.mean(), 2) == percent
    signers = [name.split("_")[0] for name in names]
    by_sample, by_signer = bootstrap(correct), bootstrap_signers(correct, signers)
    assert by_signer is not None
    assert by_signer.low < by_sample.low < percent / 100 < by_sample.high < by_signer.high
    groups = accuracy_by(signers, correct)
    assert len(groups) == 6
    assert groups["correct"].sum() == correct.sum()


@NEEDS_AUTSL
def test_depth_helped_the_published_submission_of_val_more_than_that_of_test() -> None:
    p = {}
    for split, labels in (("DEV", "validation_labels"), ("TEST", "test_labels")):
        _, colour = published(f"RGB_{split}_VTN_HCPF", labels)
        _, depth = published(f"RGBD_{split}_VTN_HCPF_D", labels)
        p[split] = mcnemar_exact(colour, depth).p
    assert p["DEV"] < 0.05 < p["TEST"]


def published(submission: str, labels: str) -> tuple[list[str], NDArray[np.bool_]]:
    """Sample names and whether each answer is right."""
    folder = SHARED / "autsl"
    truth = dict(read_predictions(folder / f"{labels}.csv", 226))
    answers = dict(read_predictions(folder / "decoster" / f"{submission}.csv", 226))
    assert answers.keys() == truth.keys()
    return list(truth), np.array([answers[name] == label for name, label in truth.items()])
