"""Temperatures of logits and weights of an ensemble, fitted to held-out samples. Pure.

M streams, N samples, K classes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax

TEMPERATURE_SCALE = 0.25
"""Scale of the Cauchy prior on the logarithm of a temperature."""

EQUAL_WEIGHTS_SAMPLES = 1.0
"""Weight of the regulariser towards equal weights, in samples for each stream."""

LARGEST_GRADIENT = 1e-5
"""Convergence limit: gradient of the mean loss by the log-weights."""

Floats = NDArray[np.float64]


def fit_temperature(logits: NDArray[np.floating], labels: Sequence[int]) -> float:
    """Fit the temperature T > 0 of softmax(logits / T) (Guo et al., 2017, section 4.2).

    `logits` (N, K), `labels` (N,). Minimises the log-loss, summed over the samples, plus
    log(1 + (log T / s)^2): a Cauchy prior on log T with its mode at T = 1, no scaling. So few
    samples, which do not determine T, leave it near 1; strong evidence can move it far, because
    the prior has heavy tails. Its influence falls as 1 / N. Constant logits give 1.
    """
    values = np.asarray(logits, np.float64)
    relative = values - values[np.arange(len(labels)), labels][:, None]  # to the true class
    spread = float(np.std(relative))
    if spread == 0:
        return 1.0

    largest = relative.max(axis=1)
    below = relative - largest[:, None]

    def objective(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        powers = below * scale
        np.exp(powers, out=powers)  # in place: another array takes four times as long
        loss = scale * largest.sum() + np.log(powers.sum(axis=1)).sum()
        return float(loss + np.log1p((log_temperature / TEMPERATURE_SCALE) ** 2))

    # There may be a minimum near T = 1, too narrow for a grid, and one near the best fit.
    low, high = sorted((0.0, float(np.log(spread))))
    grid = np.arange(low - 7, high + 7, 0.5)
    best = grid[np.argmin([objective(place) for place in grid])]
    found = [
        minimize_scalar(objective, bounds=(place - 0.5, place + 0.5), options={"xatol": 1e-9})
        for place in {0.0, float(best)}
    ]
    return float(np.exp(min(found, key=lambda one: one.fun).x))


def log_probabilities(logits: NDArray[np.floating], temperature: float) -> Floats:
    """Log-softmax of logits / temperature over the last axis (..., K), float64.

    Source: Guo et al., 2017, eq. 9.
    """
    result: Floats = log_softmax(np.asarray(logits, np.float64) / temperature, axis=-1)
    return result


def weighted_mean(
    values: NDArray[np.floating], answered: NDArray[np.bool_], weights: Floats
) -> Floats:
    """Weighted mean (N, K) of `values` (M, N, K) over the streams that answered (M, N).

    `weights` (M,). A sample without any weighted answer gets zeros.
    """
    share = _shares(answered, weights)
    total = np.zeros(values.shape[1:])
    for stream, part in zip(values, share, strict=True):
        total += part[:, None] * np.where(part[:, None] > 0, stream, 0.0)
    return total


def fit_weights(
    log_probs: NDArray[np.floating], labels: Sequence[int], answered: NDArray[np.bool_]
) -> Floats:
    """Fit weights (M,), positive with sum 1, that minimise the log-loss of the weighted mean.

    `log_probs` (M, N, K), `labels` (N,), `answered` (M, N). The model is softmax(sum_m w_m
    log_probs_m), a logarithmic opinion pool (Heskes, 1998); its mean log-loss is convex in w if
    every stream answered. As in `fuse`, a sample's mean is over the streams that answered it;
    samples without any answer do not count.

    Few samples, or samples that are all right, do not determine the weights. So the divergence from
    equal weights, KL(1/M || w), is added with the weight of one sample for each stream (a Dirichlet
    prior with all parameters 2). This makes the minimum unique and every weight positive, and its
    influence falls as 1 / N.
    """
    rows = answered.any(axis=0)
    answered = answered[:, rows]
    # Values minus that of the true class, (M, n, K).
    relative = np.where(answered[..., None], log_probs[:, rows], 0.0)
    relative -= np.take_along_axis(relative, np.asarray(labels)[rows][None, :, None], axis=2)
    M = len(relative)
    pull = M * EQUAL_WEIGHTS_SAMPLES / rows.sum()

    def objective(logs: Floats) -> tuple[float, Floats]:
        weights: Floats = softmax(logs)
        loss, gradient = _loss(relative, answered, weights)
        divergence = -np.log(M) - float(log_softmax(logs).mean())
        by_logs = weights * (gradient - weights @ gradient) + pull * (weights - 1 / M)
        return loss + pull * divergence, by_logs

    result = minimize(
        objective,
        np.zeros(M),
        jac=True,
        method="L-BFGS-B",
        options={"gtol": 1e-8, "ftol": 1e-14, "maxiter": 1000},
    )
    steepest = float(np.abs(result.jac).max())
    if steepest > LARGEST_GRADIENT:
        raise ArithmeticError(f"weights did not converge: gradient {steepest}, {result.message}")
    fitted: Floats = softmax(result.x)
    return fitted


def _shares(answered: NDArray[np.bool_], weights: Floats) -> Floats:
    """Share (M, N) of each stream in a sample's mean; zeros if no weighted stream answered."""
    weight = weights[:, None] * answered
    total = weight.sum(axis=0)
    share: Floats = weight / np.where(total > 0, total, 1.0)
    return share


def _loss(relative: Floats, answered: NDArray[np.bool_], weights: Floats) -> tuple[float, Floats]:
    """Mean log-loss of the weighted mean, and its gradient (M,) by the weights."""
    N = relative.shape[1]
    share = _shares(answered, weights)  # (M, N)
    mean = np.einsum("mn,mnk->nk", share, relative)  # zero at the true class
    loss, chances = _log_sum_exp(mean)
    by_share = np.einsum("nk,mnk->mn", chances, relative)
    # Derivative of share = w a / sum(w a): a stream counts by its difference from the mean.
    change = answered * (by_share - (share * by_share).sum(axis=0))
    return float(loss.mean()), change @ (1 / (weights @ answered)) / N


def _log_sum_exp(values: Floats) -> tuple[Floats, Floats]:
    """log(sum(exp(x))) (N,) of the rows of finite values (N, K), and their softmax (N, K)."""
    largest: Floats = values.max(axis=1, keepdims=True)
    chances: Floats = np.exp(values - largest)
    total = chances.sum(axis=1, keepdims=True)
    chances /= total
    result: Floats = (largest + np.log(total))[:, 0]
    return result, chances
