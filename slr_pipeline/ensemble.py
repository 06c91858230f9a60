"""Late fusion of streams: logits joined by sample name and weighed. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import DataError
from slr_pipeline.io.logits import Logits


@dataclass(frozen=True)
class Fused:
    """Scores (N, K) float64, and how many streams answered each sample (N,) int."""

    scores: NDArray[np.float64]
    answers: NDArray[np.int64]


def fuse(
    logits: Mapping[str, Logits],
    weights: Mapping[str, float],
    samples: Sequence[str],
    prior: NDArray[np.float64],
) -> Fused:
    """Weighted mean of raw logits, sum(w_m x_m) / sum(w_m), rows in the order of `samples`.

    A sample that some streams did not answer is the mean over those that did; one that no
    stream answered gets the log of the class prior (K,). Source: SAM-SLR, section 3.6 (late
    fusion); the published code sums over all streams, which is the same where all answered.

    Raises DataError for missing or extra names, unequal classes or protocols.
    """
    first = next(iter(weights))
    classes = len(prior)
    total = np.zeros((len(samples), classes))
    weight_of = np.zeros(len(samples))
    answers = np.zeros(len(samples), dtype=np.int64)
    for stream, weight in weights.items():
        rows = _rows_of(stream, logits[stream], samples)
        _check_same(stream, logits[stream], first, logits[first], classes)
        answered = logits[stream].answered[rows]
        total += weight * np.where(answered[:, None], logits[stream].values[rows], 0.0)
        weight_of += weight * answered
        answers += answered
    scores = np.where(
        answers[:, None] > 0,
        total / np.where(weight_of > 0, weight_of, 1.0)[:, None],
        np.log(prior)[None, :],
    )
    return Fused(scores, answers)


def class_prior(labels: Sequence[int], classes: int) -> NDArray[np.float64]:
    """Share of each class (K,) among training labels, with one added to every count."""
    counts = np.bincount(np.asarray(labels, dtype=np.int64), minlength=classes) + 1.0
    prior: NDArray[np.float64] = counts / counts.sum()
    return prior


def _rows_of(stream: str, logits: Logits, samples: Sequence[str]) -> NDArray[np.int64]:
    row_of = {name: row for row, name in enumerate(logits.samples)}
    missing = [name for name in samples if name not in row_of]
    extra = sorted(set(row_of) - set(samples))
    if missing or extra:
        raise DataError(
            f"stream {stream}: its logits are of other samples than the table; "
            f"{len(missing)} missing {missing[:5]}, {len(extra)} extra {extra[:5]}"
        )
    return np.asarray([row_of[name] for name in samples], dtype=np.int64)


def _check_same(stream: str, logits: Logits, first: str, other: Logits, classes: int) -> None:
    if len(logits.classes) != classes or logits.classes != other.classes:
        raise DataError(
            f"stream {stream}: its {len(logits.classes)} classes are not the {classes} of the "
            f"table or those of stream {first}; train it again on this table"
        )
    if logits.protocol != other.protocol:
        raise DataError(
            f"stream {stream} was made by protocol {logits.protocol}, stream {first} by "
            f"{other.protocol}; a track needs one protocol"
        )
