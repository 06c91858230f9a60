"""Temperatures and weights: known answers, and properties for any logits."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from slr_pipeline.scoring.calibration import (
    TEMPERATURE_SCALE,
    fit_temperature,
    fit_weights,
    log_probabilities,
    weighted_mean,
)

Floats = NDArray[np.float64]


def loss(logits: Floats, labels: NDArray[np.int64]) -> float:
    return float((logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]).mean())


def drawn(N: int, K: int, seed: int, spread: float = 2.0) -> tuple[Floats, NDArray[np.int64]]:
    """Logits whose softmax is the true distribution of each label."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, spread, (N, K))
    labels = (logits + generator.gumbel(size=(N, K))).argmax(axis=1)
    return logits, labels


class TestTemperature:
    def test_by_hand(self) -> None:
        # Three of four are right by a lead of 1, so the best chance of the leader is 3/4:
        # 1 / (1 + exp(-1 / T)) = 3/4, or T = 1 / log 3. A thousand samples outweigh the prior.
        logits = np.array([[1.0, 0], [1, 0], [1, 0], [1, 0]] * 250)
        found = fit_temperature(logits, [0, 0, 0, 1] * 250)
        assert found == pytest.approx(1 / np.log(3), rel=0.02)
        assert abs(np.log(fit_temperature(logits[:4], [0, 0, 0, 1]))) < abs(np.log(found)) / 2

    @given(st.floats(1e-3, 1e3), st.integers(0, 99))
    @settings(max_examples=25, deadline=None)
    def test_grows_with_the_logits_of_many_samples(self, scale: float, seed: int) -> None:
        logits, labels = drawn(1000, 4, seed)
        once = fit_temperature(logits, labels.tolist())
        assert fit_temperature(scale * logits, labels.tolist()) == pytest.approx(
            scale * once, rel=0.1
        )

    @given(st.floats(-3, 3), st.integers(0, 99))
    @example(log_scale=-3.0, seed=57)  # two minima, one narrower than a step of the fit's grid
    @settings(max_examples=25, deadline=None)
    def test_no_other_temperature_is_better(self, log_scale: float, seed: int) -> None:
        logits, labels = drawn(30, 4, seed)
        logits *= np.exp(log_scale)

        def objective(log_temperature: float) -> float:
            prior = np.log1p((log_temperature / TEMPERATURE_SCALE) ** 2)
            return 30 * loss(logits / np.exp(log_temperature), labels) + float(prior)

        found = float(np.log(fit_temperature(logits, labels.tolist())))
        others = np.linspace(-6, 6, 481)
        assert objective(found) <= min(map(objective, others)) + 1e-9

    def test_confidence_is_limited_if_all_samples_are_right(self) -> None:
        logits = 5 * np.eye(4)[[0, 1, 2, 3] * 4]
        found = fit_temperature(logits, [0, 1, 2, 3] * 4)
        assert 0.9 < softmax(logits / found, axis=1).max(axis=1).mean() < 0.99

    def test_two_wrong_samples_are_little_evidence(self) -> None:
        found = fit_temperature(np.array([[1.0, 0], [1, 0]]), [1, 1])
        assert 1 < found < 1.1

    def test_logits_without_differences_give_one(self) -> None:
        assert fit_temperature(np.full((3, 4), 7.0), [0, 1, 2]) == 1

    @given(
        hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.floats(-9, 9))
    )
    @settings(deadline=None)
    def test_is_a_positive_number_for_any_logits(self, logits: NDArray[np.float32]) -> None:
        N, K = logits.shape
        assert 0 < fit_temperature(logits, [n % K for n in range(N)]) < np.inf


# Simulated models with a known truth: logits are T times the true log-odds, plus noise.


def change(N: int, log_temperatures: Floats, seed: int) -> float:
    """Mean change of the expected loss on new samples by a temperature fitted to N samples."""
    changes = []
    for number, log_temperature in enumerate(log_temperatures):
        true, labels = drawn(N + 300, 8, seed + number)
        logits, chances = true * np.exp(log_temperature), softmax(true[N:], axis=1)
        found = fit_temperature(logits[:N], labels[:N].tolist())
        scaled, raw = (log_probabilities(logits[N:], T) for T in (found, 1.0))
        changes.append(float((chances * (raw - scaled)).sum(axis=1).mean()))
    return float(np.mean(changes))


@pytest.mark.parametrize("N", [5, 10, 20, 100])
@pytest.mark.parametrize(("mean", "deviation"), [(0.3, 0.5), (0.4, 0.0), (-3.0, 0.0)])
def test_a_fitted_temperature_is_better_than_none(N: int, mean: float, deviation: float) -> None:
    """Overconfident models of all degrees, one degree, and very underconfident ones."""
    generator = np.random.default_rng(N)
    assert change(N, generator.normal(mean, deviation, 60), seed=1000 * N) < 0


@pytest.mark.parametrize("N", [5, 10, 20, 100])
def test_it_costs_next_to_nothing_if_none_is_needed(N: int) -> None:
    """The loss of chance is log 8 = 2.08."""
    assert change(N, np.zeros(60), seed=2000 * N) < 0.015


@pytest.mark.parametrize("N", [5, 10, 20])
def test_fitted_weights_are_better_than_equal_ones(N: int) -> None:
    """Over tracks of four streams whose noise differs little, or much, or not at all."""
    gains = []
    for number, noise in enumerate([(1.5,) * 4, (1, 1, 3, 6), (1, 2, 2, 3), (0.5, 5, 5, 5)] * 15):
        generator = np.random.default_rng(3000 * N + number)
        true, labels = drawn(N + 300, 8, 4000 * N + number, spread=3.0)
        streams = np.stack(
            [log_probabilities(true + generator.normal(0, s, true.shape), 1.0) for s in noise]
        )
        weights = fit_weights(streams[:, :N], labels[:N].tolist(), np.ones((4, N), bool))
        chances = softmax(true[N:], axis=1)
        fitted, equal = (
            log_probabilities(np.tensordot(w, streams[:, N:], 1), 1.0)
            for w in (weights, np.full(4, 0.25))
        )
        gains.append(float((chances * (fitted - equal)).sum(axis=1).mean()))
    by_kind = np.reshape(gains, (15, 4)).mean(axis=0)
    assert by_kind.mean() > 0
    assert by_kind.min() > -0.05


def test_log_probabilities_by_hand() -> None:
    found = log_probabilities(np.array([[2 * np.log(3), 0]]), 2.0)
    np.testing.assert_allclose(np.exp(found), [[0.75, 0.25]])


class TestWeights:
    def test_best_of_a_grid(self) -> None:
        logits, labels = drawn(300, 4, seed=4)
        generator = np.random.default_rng(5)
        pair = np.stack(
            [log_probabilities(logits + generator.normal(0, s, (300, 4)), 1.0) for s in (1, 2)]
        )
        weights = fit_weights(pair, labels.tolist(), np.ones((2, 300), bool))

        def objective(w: float) -> float:
            pull = -0.5 * np.log(2 * w) - 0.5 * np.log(2 * (1 - w))
            return loss(w * pair[0] + (1 - w) * pair[1], labels) + 2 * pull / 300

        grid = np.linspace(0.001, 0.999, 999)
        assert weights[0] == pytest.approx(grid[np.argmin([objective(w) for w in grid])], abs=1e-3)

    def test_few_samples_that_are_all_right_keep_weights_near_equal(self) -> None:
        generator = np.random.default_rng(6)
        labels = [n % 4 for n in range(16)]
        streams = []
        for lead in (3, 4, 5, 6):
            logits = generator.normal(0, 0.3, (16, 4)) + lead * np.eye(4)[labels]
            streams.append(log_probabilities(logits, fit_temperature(logits, labels)))
        weights = fit_weights(np.stack(streams), labels, np.ones((4, 16), bool))
        np.testing.assert_allclose(weights, 0.25, atol=0.05)

    def test_a_true_stream_outweighs_noise_that_answers_in_part(self) -> None:
        logits, labels = drawn(400, 5, seed=7)
        answered = np.ones((2, 400), bool)
        answered[1, :300] = False
        noise = np.random.default_rng(8).normal(0, 3, logits.shape)
        noise[:300] = np.nan  # not read
        both = np.stack([logits, noise])
        weights = fit_weights(both, labels.tolist(), answered)
        assert weights[1] < 0.05

    def test_samples_without_answers_do_not_count(self) -> None:
        logits, labels = drawn(60, 3, seed=9)
        pair = np.stack([logits, logits[:, ::-1]])
        answered = np.ones((2, 60), bool)
        answered[:, 40:] = False
        some = fit_weights(pair, labels.tolist(), answered)
        first = fit_weights(pair[:, :40], labels[:40].tolist(), answered[:, :40])
        np.testing.assert_allclose(some, first)

    @given(st.integers(1, 5), st.integers(1, 20), st.integers(1, 4), st.integers(0, 999))
    @settings(max_examples=60, deadline=None)
    def test_lie_on_the_simplex(self, M: int, N: int, K: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        values = log_probabilities(generator.normal(0, 10, (M, N, K)), 1.0)
        answered = generator.random((M, N)) < 0.7
        answered[0, 0] = True
        weights = fit_weights(values, generator.integers(0, K, N).tolist(), answered)
        assert weights.shape == (M,)
        assert (weights > 0).all()
        assert weights.sum() == pytest.approx(1)


def test_weighted_mean_by_hand() -> None:
    values = np.array([[[4.0], [1.0], [9.0]], [[8.0], [9.0], [9.0]]])
    answered = np.array([[True, True, False], [True, False, False]])
    found = weighted_mean(values, answered, np.array([3.0, 1.0]))
    np.testing.assert_allclose(found, [[5.0], [1.0], [0.0]])
