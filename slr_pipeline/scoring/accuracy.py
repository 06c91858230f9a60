"""Accuracy and loss of logits. Pure: arrays in, numbers out. N samples, K classes."""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtri


def evaluate(logits: NDArray[np.float32], labels: Sequence[int]) -> dict[str, float]:
    """Score logits (N, K) against the labels (N,) of the same samples.

    Returns `samples` (N), `correct`, `top1` with its 95 % Wilson interval `top1_low` and
    `top1_high`, `top5` (1 if K <= 5), `loss` (mean cross-entropy) and `chance` (1 / K). Equal
    logits rank by class number. The interval assumes independent samples; samples of one signer are
    not independent, so the true interval is wider.
    """
    N, K = logits.shape
    truth = np.asarray(labels, dtype=np.int64)
    values = logits.astype(np.float64)
    ranking = np.argsort(-values, axis=1, kind="stable")
    rank = (ranking == truth[:, None]).argmax(axis=1)  # (N,) of the true class, 0 is the first
    correct = int((rank == 0).sum())
    low, high = wilson(correct, N)
    return {
        "samples": N,
        "correct": correct,
        "top1": correct / N,
        "top1_low": low,
        "top1_high": high,
        "top5": float((rank < 5).mean()),
        "loss": float((logsumexp(values, axis=1) - values[np.arange(N), truth]).mean()),
        "chance": 1 / K,
    }


def wilson(correct: int, samples: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson, 1927).

    `scipy.stats` has it, but takes half a second of each short job to import.
    """
    z, share = float(ndtri(0.975)), correct / samples
    whole = 2 * (samples + z**2)
    centre = (2 * samples * share + z**2) / whole
    spread = z / whole * sqrt(4 * samples * share * (1 - share) + z**2)
    low = 0.0 if correct == 0 else centre - spread
    high = 1.0 if correct == samples else centre + spread
    return low, high
