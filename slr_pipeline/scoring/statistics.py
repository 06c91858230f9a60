"""Statistics of results. Pure: arrays in, numbers and tables out.

N samples, K classes. Accuracy is the share of samples whose top-1 class is the true one.
"""

from collections.abc import Sequence, Sized
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import bdtr, softmax

from slr_pipeline.errors import DataError

DRAWS = 10_000
"""Resamples of a bootstrap."""

BINS = 15
"""Bins of a reliability diagram (Guo et al., 2017, section 2)."""


@dataclass(frozen=True)
class Interval:
    """95 % interval of a bootstrapped share."""

    low: float
    high: float


@dataclass(frozen=True)
class McNemar:
    """Samples that only one of two systems has right, and the two-sided p-value."""

    only_a: int
    only_b: int
    p: float


def bootstrap(correct: NDArray[np.bool_], draws: int = DRAWS, seed: int = 1) -> Interval:
    """95 % percentile interval of accuracy, samples (N,) drawn with replacement (Efron, 1979).

    The number of correct samples in a draw is binomial, so it is drawn directly. Assumes
    independent samples, which samples of one signer are not; see `bootstrap_signers`. DataError
    without samples.
    """
    N = _length(correct)
    counts = np.random.default_rng(seed).binomial(N, correct.mean(), draws)
    return _interval(counts / N)


def bootstrap_signers(
    correct: NDArray[np.bool_],
    signers: Sequence[str | None],
    draws: int = DRAWS,
    seed: int = 1,
) -> Interval | None:
    """95 % percentile interval of accuracy, whole signers drawn with replacement.

    The cluster bootstrap (Davison and Hinkley, 1997, section 3.8) estimates the spread over other
    signers of the same kind. It is too narrow for few signers, such as the six of AUTSL.

    Returns None for fewer than two signers or if a signer is unknown. DataError without samples or
    for unequal lengths.
    """
    _length(correct, signers)
    if None in signers:
        return None
    groups = accuracy_by(signers, correct)
    G = len(groups)
    if G < 2:
        return None
    drawn = np.random.default_rng(seed).multinomial(G, np.full(G, 1 / G), draws)  # (draws, G)
    return _interval(drawn @ groups["correct"].to_numpy() / (drawn @ groups["samples"].to_numpy()))


def mcnemar_exact(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]) -> McNemar:
    """Test whether one of two systems is better on the same samples (N,) (McNemar, 1947).

    Exact and two-sided: among samples that only one system has right, both are equally likely under
    the null hypothesis. p is 1 without such samples. Assumes independent samples. DataError without
    samples or for unequal lengths.
    """
    _length(correct_a, correct_b)
    only_a = int((correct_a & ~correct_b).sum())
    only_b = int((correct_b & ~correct_a).sum())
    differ = only_a + only_b
    tail = float(bdtr(min(only_a, only_b), differ, 0.5))
    return McNemar(only_a, only_b, min(1.0, 2 * tail))


def macro_recall(predicted: NDArray[np.integer], labels: NDArray[np.integer]) -> float:
    """Mean recall of the classes that have samples (balanced accuracy).

    `predicted`, `labels` (N,). DataError without samples or for unequal lengths.
    """
    _length(predicted, labels)
    return float(pd.Series(predicted == labels).groupby(labels).mean().mean())


def confidences(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probability (N,) of the top-1 class, from logits or log-probabilities (N, K)."""
    largest: NDArray[np.float64] = softmax(np.asarray(scores, np.float64), axis=1).max(axis=1)
    return largest


def reliability(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_], bins: int = BINS
) -> pd.DataFrame:
    """Accuracy by confidence, both (N,), in bins of equal width (Guo et al., 2017, section 2).

    One row per bin (low, high]: number of `samples`, mean `confidence` and `accuracy`, NaN if
    empty. DataError without samples and for unequal lengths.
    """
    _length(confidence, correct)
    edges = np.linspace(0, 1, bins + 1)
    bin_of = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    samples = np.bincount(bin_of, minlength=bins)
    divisor = np.where(samples > 0, samples, np.nan)
    return pd.DataFrame(
        {
            "samples": samples,
            "confidence": np.bincount(bin_of, weights=confidence, minlength=bins) / divisor,
            "accuracy": np.bincount(bin_of, weights=correct, minlength=bins) / divisor,
        }
    )


def expected_calibration_error(diagram: pd.DataFrame) -> float:
    """Mean over samples of |accuracy - confidence| of their bin (Guo et al., 2017, eq. 3)."""
    gap = (diagram["accuracy"] - diagram["confidence"]).abs().fillna(0).to_numpy()
    samples = diagram["samples"].to_numpy()
    return float(gap @ samples / samples.sum())


def accuracy_by(groups: Sequence[str | None], correct: NDArray[np.bool_]) -> pd.DataFrame:
    """Count `samples` and `correct` ones of each `group` (signer or gloss), sorted by group.

    `groups` and `correct` are (N,); samples of an unknown group (None) are left out. DataError
    without samples or for unequal lengths.
    """
    _length(correct, groups)
    table = pd.DataFrame({"group": pd.Series(groups, dtype=object), "correct": correct})
    return table.groupby("group")["correct"].agg(samples="size", correct="sum").reset_index()


def worst(groups: pd.DataFrame, n: int = 10) -> pd.DataFrame:
    """The n groups of `accuracy_by` with the lowest accuracy; larger groups first among equals."""
    ranked = groups.assign(accuracy=groups["correct"] / groups["samples"]).sort_values(
        ["accuracy", "samples", "group"], ascending=[True, False, True]
    )
    return ranked[["group", "samples", "correct"]].head(n)


def _interval(shares: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(shares, [2.5, 97.5])
    return Interval(float(low), float(high))


def _length(*arrays: Sized) -> int:
    """Common length of the arrays."""
    lengths = [len(array) for array in arrays]
    if len(set(lengths)) > 1:
        raise DataError(f"arrays of {lengths} samples, expected the same samples in each")
    if lengths[0] == 0:
        raise DataError(
            "no samples, so there are no statistics; is any sample of the split labelled?"
        )
    return lengths[0]
