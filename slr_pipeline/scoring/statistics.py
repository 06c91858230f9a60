"""Statistics of results. Pure: arrays in, numbers out.

N samples, K classes. Accuracy is the share of samples whose class was given first.
"""

from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import binom

from slr_pipeline.errors import DataError

DRAWS = 10_000
"""Resamples of a bootstrap."""

BINS = 15
"""Of a reliability diagram (Guo et al., 2017, section 2)."""


@dataclass(frozen=True)
class Interval:
    """Where 95 % of the bootstrapped shares lie."""

    low: float
    high: float


@dataclass(frozen=True)
class McNemar:
    """Samples that one of two systems alone has right, and the two-sided p of a fair coin."""

    only_a: int
    only_b: int
    p: float


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram of B bins of equal width, the lowest confidence first.

    Bin b holds the confidences in (`edges[b]`, `edges[b + 1]`], 0 in the first. `samples` (B,)
    counts them, `confidence` and `accuracy` (B,) are their means: NaN where there are none.
    """

    edges: NDArray[np.float64]
    samples: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]


@dataclass(frozen=True)
class Share:
    """How many samples of a group (a signer, a class) are right."""

    group: str
    samples: int
    correct: int

    @property
    def accuracy(self) -> float:
        """Between 0 and 1."""
        return self.correct / self.samples


@dataclass(frozen=True)
class KeypointAccuracy:
    """How well true keypoints were found.

    `visible`: true keypoints counted; `recall`: share of them that were given at all; `pck`: share
    of them given within the threshold (a missing one is wrong); `median_error`: of those given, in
    units of the scale. Shares of nothing are NaN.
    """

    visible: int
    recall: float
    pck: float
    median_error: float


def keypoint_accuracy(
    found: NDArray[np.floating],
    truth: NDArray[np.floating],
    scale_px: NDArray[np.floating],
    threshold: float,
) -> KeypointAccuracy:
    """PCK: the percentage of correct keypoints, as a share (Yang and Ramanan, 2013).

    `found` (T, V, 3) is x px, y px, score with score 0 for missing; `truth` (T, V, 3) is x px, y
    px, visible; `scale_px` (T,) is the length the error of a frame is measured in. A keypoint is
    correct when it is at most `threshold` lengths away. What the truth calls hidden is not counted.
    """
    visible = truth[..., 2] > 0
    given = found[..., 2] > 0
    distance = np.linalg.norm(found[..., :2].astype(float) - truth[..., :2].astype(float), axis=-1)
    error = (distance / scale_px[:, None])[visible]  # (points,)
    given = given[visible]
    if not len(error):
        return KeypointAccuracy(0, np.nan, np.nan, np.nan)
    return KeypointAccuracy(
        visible=len(error),
        recall=float(given.mean()),
        pck=float((given & (error <= threshold)).mean()),
        median_error=float(np.median(error[given])) if given.any() else np.nan,
    )


def bootstrap(correct: NDArray[np.bool_], draws: int = DRAWS, seed: int = 1) -> Interval:
    """95 % percentile interval of accuracy, samples (N,) drawn with replacement (Efron, 1979).

    How many of N drawn samples are right is binomial, so that is what is drawn: the same
    distribution without the samples. Takes samples for independent, which those of one signer are
    not; `bootstrap_signers` does not. Raises DataError without samples.
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

    The cluster bootstrap (Davison and Hinkley, 1997, section 3.8): says what other signers of the
    same kind would give. With some six signers, as in AUTSL, it is known to be too narrow. None
    with fewer than two signers or where one is not known: nothing then tells how signers differ.
    Raises DataError without samples or for unequal lengths.
    """
    _length(correct, signers)
    if None in signers:
        return None
    shares = accuracy_by([str(signer) for signer in signers], correct)
    if len(shares) < 2:
        return None
    G = len(shares)
    drawn = np.random.default_rng(seed).multinomial(G, np.full(G, 1 / G), draws)  # (draws, G)
    right = drawn @ np.asarray([share.correct for share in shares])
    return _interval(right / (drawn @ np.asarray([share.samples for share in shares])))


def mcnemar_exact(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_]) -> McNemar:
    """Whether one of two systems is better on the same samples (N,) (McNemar, 1947).

    Exact: where just one is right, each is equally likely to be that one, so the counts are
    binomial with chance 1/2; p is two-sided, and 1 without such samples. Takes samples for
    independent. Raises DataError without samples or for unequal lengths.
    """
    _length(correct_a, correct_b)
    only_a = int((correct_a & ~correct_b).sum())
    only_b = int((correct_b & ~correct_a).sum())
    tail = float(binom.cdf(min(only_a, only_b), only_a + only_b, 0.5))
    return McNemar(only_a, only_b, min(1.0, 2 * tail))


def macro_recall(predicted: NDArray[np.integer], labels: NDArray[np.integer]) -> float:
    """Mean over classes of the share of their samples that was found; each class counts the same.

    `predicted`, `labels` (N,). Classes without samples do not count. Raises DataError without
    samples or for unequal lengths.
    """
    _length(predicted, labels)
    _, row = np.unique(labels, return_inverse=True)
    recall = np.bincount(row, weights=predicted == labels) / np.bincount(row)
    return float(recall.mean())


def confidences(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probability (N,) of the class that is given first, of logits or log-probabilities (N, K)."""
    largest: NDArray[np.float64] = softmax(np.asarray(scores, np.float64), axis=1).max(axis=1)
    return largest


def reliability(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_], bins: int = BINS
) -> Reliability:
    """Accuracy by confidence, both (N,), in bins of equal width (Guo et al., 2017, section 2).

    Raises DataError without samples, for unequal lengths or confidences outside 0..1.
    """
    N = _length(confidence, correct)
    slack = 1e-9  # a softmax may sum to a little more than 1
    if not ((confidence >= 0) & (confidence <= 1 + slack)).all():
        raise DataError(
            f"confidences {confidence.min()} to {confidence.max()} of {N} samples, expected 0..1; "
            "give probabilities, not logits"
        )
    edges = np.linspace(0, 1, bins + 1)
    bin_of = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    samples = np.bincount(bin_of, minlength=bins)
    some = np.where(samples > 0, samples, np.nan)
    return Reliability(
        edges=edges,
        samples=samples,
        confidence=np.bincount(bin_of, weights=confidence, minlength=bins) / some,
        accuracy=np.bincount(bin_of, weights=correct, minlength=bins) / some,
    )


def expected_calibration_error(diagram: Reliability) -> float:
    """Mean over samples of |accuracy - confidence| of their bin (Guo et al., 2017, eq. 3)."""
    gap = np.nan_to_num(np.abs(diagram.accuracy - diagram.confidence))
    return float(gap @ diagram.samples / diagram.samples.sum())


def accuracy_by(groups: Sequence[str], correct: NDArray[np.bool_]) -> list[Share]:
    """Samples and right ones of every group, by name; `groups` and `correct` are (N,).

    Groups are signers, or the glosses of the labels. Raises DataError without samples or for
    unequal lengths.
    """
    _length(correct, groups)
    names, row = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    samples = np.bincount(row)
    right = np.bincount(row, weights=correct).astype(np.int64)
    rows = zip(names.tolist(), samples.tolist(), right.tolist(), strict=True)
    return [Share(*fields) for fields in rows]


def worst(shares: Iterable[Share], n: int = 10) -> list[Share]:
    """The n groups of least accuracy, the worst first; of equal ones that of more samples."""
    return sorted(shares, key=lambda share: (share.accuracy, -share.samples, share.group))[:n]


def _interval(shares: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(shares, [2.5, 97.5])
    return Interval(float(low), float(high))


def _length(*arrays: Sized) -> int:
    """Of arrays that belong together."""
    lengths = [len(array) for array in arrays]
    if len(set(lengths)) > 1:
        raise DataError(f"arrays of {lengths} samples, expected the same samples in each")
    if lengths[0] == 0:
        raise DataError("no samples to take statistics of; is any of the split labelled?")
    return lengths[0]
