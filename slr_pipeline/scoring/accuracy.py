"""Accuracy and loss of logits. Pure: arrays in, numbers out. N samples, K classes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import binomtest


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
    interval = binomtest(correct, N).proportion_ci(confidence_level=0.95, method="wilson")
    return {
        "samples": N,
        "correct": correct,
        "top1": correct / N,
        "top1_low": float(interval.low),
        "top1_high": float(interval.high),
        "top5": float((rank < 5).mean()),
        "loss": float((logsumexp(values, axis=1) - values[np.arange(N), truth]).mean()),
        "chance": 1 / K,
    }
