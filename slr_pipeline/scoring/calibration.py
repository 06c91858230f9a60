"""Temperatures of logits and weights of an ensemble, fitted to held-out samples. Pure.

M streams, N samples, K classes.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize
from scipy.special import log_softmax, logsumexp, softmax

LEAST_TEMPERATURE = 1e-3
MOST_TEMPERATURE = 1e2
"""Bounds of the temperature, in units of the root mean square of the centred logits."""

EQUAL_WEIGHTS_SAMPLES = 1.0
"""Weight, in samples, of the regulariser towards equal weights."""

LARGEST_GRADIENT = 1e-5
"""Convergence limit: gradient of the mean loss by the log-weights."""

Floats = NDArray[np.float64]


def fit_temperature(logits: NDArray[np.floating], labels: Sequence[int]) -> float:
    """Fit the temperature T > 0 that minimises the mean log-loss of softmax(logits / T).

    `logits` (N, K), `labels` (N,). The loss is convex in 1 / T (Guo et al., 2017, section 4.2). If
    all samples are right, the loss has no minimum: it falls as T goes to 0. So T is bounded below:
    the mean confidence is at most (N + 1) / (N + 2), Laplace's rule of succession for N right
    answers. T also stays within 0.001 to 100 times the root mean square of the logits, centred by
    sample; logits without signal give the upper bound. Constant logits give 1. `c * logits` gives
    `c * T`.
    """
    centred = np.asarray(logits, np.float64)
    centred = centred - centred.mean(axis=1, keepdims=True)
    spread = float(np.sqrt(np.mean(centred**2)))
    if spread == 0:
        return 1.0
    centred /= spread
    N = len(labels)
    true_mean = centred[np.arange(N), labels].mean()

    def slope(log_sharpness: float) -> float:
        """Derivative of the mean loss by 1 / T: expected minus true logit."""
        chances = softmax(centred * np.exp(log_sharpness), axis=1)
        return float(np.vdot(chances, centred) / N - true_mean)

    def overconfidence(log_sharpness: float) -> float:
        chances = softmax(centred * np.exp(log_sharpness), axis=1)
        return float(chances.max(axis=1).mean()) - (N + 1) / (N + 2)

    lowest, highest = -np.log(MOST_TEMPERATURE), -np.log(LEAST_TEMPERATURE)
    best = _zero(slope, lowest, highest)
    if overconfidence(best) > 0:
        best = _zero(overconfidence, lowest, best)
    return spread / float(np.exp(best))


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
    equal weights, KL(1/M || w), is added with the weight of one sample. This makes the minimum
    unique and every weight positive, and its influence falls as 1 / N.
    """
    rows = answered.any(axis=0)
    answered = answered[:, rows]
    # Values minus that of the true class, (M, n, K).
    relative = np.where(answered[..., None], log_probs[:, rows], 0.0)
    relative -= np.take_along_axis(relative, np.asarray(labels)[rows][None, :, None], axis=2)
    M = len(relative)
    pull = EQUAL_WEIGHTS_SAMPLES / rows.sum()

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
    mean = weighted_mean(relative, answered, weights)  # (N, K), zero at the true class
    loss = logsumexp(mean, axis=1)
    chances = np.exp(mean - loss[:, None])
    by_share = np.stack([np.einsum("nk,nk->n", chances, stream) for stream in relative])
    # Derivative of share = w a / sum(w a): a stream counts by its difference from the mean.
    change = answered * (by_share - (share * by_share).sum(axis=0))
    return float(loss.mean()), change @ (1 / (weights @ answered)) / N


def _zero(rising: Callable[[float], float], low: float, high: float) -> float:
    """Zero of a non-decreasing function; the nearer bound if it has none."""
    if rising(low) >= 0:
        return low
    if rising(high) <= 0:
        return high
    return float(brentq(rising, low, high, xtol=1e-10))
