"""Late fusion of streams: logits joined by sample name and averaged. Pure.

M streams, N samples, K classes. `fuse` is a weighted mean of the streams' logits (published
fusion). Calibrated fusion first scales the logits with `calibrated`; `fit_calibration` fits the
temperatures and weights.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import DataError
from slr_pipeline.scoring.calibration import (
    fit_temperature,
    fit_weights,
    log_probabilities,
    weighted_mean,
)
from slr_pipeline.scoring.logits import Logits

MOST_LISTED = 5
"""Names per kind of problem in a message."""


@dataclass(frozen=True)
class Fused:
    """Fused scores (N, K) and the number of streams that answered each sample (N,)."""

    scores: NDArray[np.float64]
    answers: NDArray[np.int64]


@dataclass(frozen=True)
class Joined:
    """Streams in one order of samples: `values` (M, N, K) float64 and `answered` (M, N).

    Values are logits, or log-probabilities after calibration, and 0 where a stream did not answer.
    All streams share the protocol.
    """

    streams: tuple[str, ...]
    values: NDArray[np.float64]
    answered: NDArray[np.bool_]
    protocol: str


@dataclass(frozen=True)
class Calibration:
    """Temperature and weight of each stream; fitted weights sum to 1."""

    temperatures: dict[str, float]
    weights: dict[str, float]


@dataclass(frozen=True)
class LeftOut:
    """Top-1 classes of samples (n,) by fits that did not see their signer.

    `rows` are the samples' rows, `labels` their classes, `weights` those of the fit without each
    signer.
    """

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    picked: NDArray[np.int64]
    weights: dict[str, dict[str, float]]


def fit_calibration(joined: Joined, labels: Sequence[int | None]) -> Calibration:
    """Fit the temperature of each stream, then all weights, to the samples with a label (N,).

    `joined` holds raw logits of samples that the streams were not trained on. `fit_temperature` and
    `fit_weights` regularise the fit for few samples. DataError for a stream that answered no
    labelled sample.
    """
    rows, truth = _labelled(labels)
    labelled = _take_samples(joined, rows)
    temperatures = {}
    for m, stream in enumerate(labelled.streams):
        answered = labelled.answered[m]
        if not answered.any():
            raise DataError(
                f"stream {stream}: it answered none of the {len(rows)} labelled samples, so it "
                "cannot be calibrated; remove it from the track or set fusion: published"
            )
        temperatures[stream] = fit_temperature(
            labelled.values[m, answered], truth[answered].tolist()
        )
    scaled = calibrated(labelled, Calibration(temperatures, {}))
    weights = fit_weights(scaled.values, truth.tolist(), scaled.answered)
    return Calibration(temperatures, dict(zip(labelled.streams, weights.tolist(), strict=True)))


def join(logits: Mapping[str, Logits], samples: Sequence[str]) -> Joined:
    """Join streams by sample name, in the order of `samples`.

    Raises DataError for missing, extra or repeated names, and for classes or a protocol that differ
    from the first stream's.
    """
    first, reference = next(iter(logits.items()))
    values = np.zeros((len(logits), len(samples), len(reference.classes)))
    answered = np.zeros((len(logits), len(samples)), dtype=bool)
    for m, (stream, own) in enumerate(logits.items()):
        rows = _rows_of(stream, own, samples)
        _check_same(stream, own, first, reference)
        answered[m] = own.answered[rows]
        values[m] = np.where(answered[m][:, None], own.values[rows], 0.0)
    return Joined(tuple(logits), values, answered, reference.protocol)


def concatenated(parts: Sequence[Logits]) -> Logits:
    """Concatenate logits of the same classes and protocol, such as those of folds.

    DataError if classes or protocols differ.
    """
    for part in parts[1:]:
        _check_same("of another fold", part, "of the first", parts[0])
    return Logits(
        samples=tuple(name for part in parts for name in part.samples),
        values=np.concatenate([part.values for part in parts]),
        answered=np.concatenate([part.answered for part in parts]),
        classes=parts[0].classes,
        protocol=parts[0].protocol,
    )


def calibrated(joined: Joined, calibration: Calibration) -> Joined:
    """Convert logits to log-probabilities log softmax(x_m / T_m)."""
    values = np.zeros_like(joined.values)
    for m, stream in enumerate(joined.streams):
        rows = joined.answered[m]
        values[m, rows] = log_probabilities(
            joined.values[m, rows], calibration.temperatures[stream]
        )
    return replace(joined, values=values)


def fuse(joined: Joined, weights: Mapping[str, float], prior: NDArray[np.float64]) -> Fused:
    """Weighted mean of the streams' values, sum(w_m x_m) / sum(w_m).

    The mean is over the streams that answered a sample; a sample without any answer gets the log of
    the class prior (K,). Source: SAM-SLR, section 3.6 (late fusion). The published code sums over
    all streams, which ranks classes the same if all streams answered.

    Raises DataError for a prior of another size.
    """
    K = joined.values.shape[2]
    if prior.shape != (K,):
        raise DataError(
            f"streams {', '.join(joined.streams[:MOST_LISTED])}: their {K} classes are not the "
            f"{prior.size} of the table; train them again on this table"
        )
    weight = np.asarray([weights[stream] for stream in joined.streams], dtype=np.float64)
    answers = joined.answered.sum(axis=0)
    mean = weighted_mean(joined.values, joined.answered, weight)
    return Fused(np.where(answers[:, None] > 0, mean, np.log(prior)), answers.astype(np.int64))


def drop_one_stream(
    joined: Joined,
    weights: Mapping[str, float],
    prior: NDArray[np.float64],
    labels: Sequence[int | None],
) -> dict[str, float]:
    """Top-1 accuracy of the fusion without each stream, over the labelled samples.

    The other streams keep their weights. A sample that only the dropped stream answered gets the
    prior. Empty for a single stream.
    """
    rows, truth = _labelled(labels)
    shares = {}
    for m, stream in enumerate(joined.streams if len(joined.streams) > 1 else ()):
        others = np.arange(len(joined.streams)) != m
        rest = replace(
            joined,
            streams=tuple(name for name in joined.streams if name != stream),
            values=joined.values[others],
            answered=joined.answered[others],
        )
        picked = fuse(rest, weights, prior).scores[rows].argmax(axis=1)
        shares[stream] = float((picked == truth).mean())
    return shares


def leave_one_signer_out(
    joined: Joined, labels: Sequence[int | None], signers: Sequence[str | None]
) -> LeftOut | None:
    """Answers of the calibrated fusion to signers left out of the fit, one fit per signer.

    `joined` holds raw logits; `labels`, `signers` (N,). Uses the samples with a label and an
    answer. None for fewer than two signers or if a signer is unknown.
    """
    rows, truth = _labelled(labels)
    seen = joined.answered[:, rows].any(axis=0)
    rows, truth = rows[seen], truth[seen]
    names = [signers[row] for row in rows]
    groups = sorted({name for name in names if name is not None})
    if None in names or len(groups) < 2:
        return None
    answered = _take_samples(joined, rows)
    K = answered.values.shape[2]
    uniform = np.full(K, 1 / K)
    picked = np.zeros_like(truth)
    weights = {}
    for signer in groups:
        out = np.asarray([name == signer for name in names])
        fitted = fit_calibration(_take_samples(answered, ~out), truth[~out].tolist())
        held_out = calibrated(_take_samples(answered, out), fitted)
        picked[out] = fuse(held_out, fitted.weights, uniform).scores.argmax(axis=1)
        weights[signer] = fitted.weights
    return LeftOut(rows, truth, picked, weights)


def class_prior(labels: Sequence[int], classes: int) -> NDArray[np.float64]:
    """Share of each class (K,) in the training labels, with one added to every count."""
    counts = np.bincount(np.asarray(labels, dtype=np.int64), minlength=classes) + 1.0
    prior: NDArray[np.float64] = counts / counts.sum()
    return prior


def _take_samples(joined: Joined, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Joined:
    return replace(joined, values=joined.values[:, rows], answered=joined.answered[:, rows])


def _labelled(labels: Sequence[int | None]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows with a label, and their labels."""
    rows = [row for row, label in enumerate(labels) if label is not None]
    if not rows:
        raise DataError(f"none of the {len(labels)} samples has a label; name a label file of val")
    truth = [label for label in labels if label is not None]
    return np.asarray(rows, dtype=np.int64), np.asarray(truth, dtype=np.int64)


def _rows_of(stream: str, logits: Logits, samples: Sequence[str]) -> NDArray[np.int64]:
    row_of = {name: row for row, name in enumerate(logits.samples)}
    missing = [name for name in samples if name not in row_of]
    extra = sorted(set(row_of) - set(samples))
    repeated = [name for name, count in Counter(logits.samples).items() if count > 1]
    if missing or extra or repeated:
        raise DataError(
            f"stream {stream}: its logits are not of the samples of the table; "
            f"{_listed('missing', missing)}, {_listed('extra', extra)}, "
            f"{_listed('repeated', repeated)}; run predict again on this table"
        )
    return np.asarray([row_of[name] for name in samples], dtype=np.int64)


def _check_same(stream: str, logits: Logits, first: str, other: Logits) -> None:
    if logits.classes != other.classes:
        pairs = zip(logits.classes, other.classes, strict=False)
        unequal = [f"{a} for {b}" for a, b in pairs if a != b]
        raise DataError(
            f"stream {stream}: its {len(logits.classes)} classes are not the {len(other.classes)} "
            f"of stream {first}; {_listed('unequal', unequal)}; train it again on this table"
        )
    if logits.protocol != other.protocol:
        raise DataError(
            f"stream {stream} has protocol {logits.protocol}, stream {first} has "
            f"{other.protocol}; all streams of a track need the same protocol"
        )


def _listed(what: str, names: Sequence[str]) -> str:
    return f"{len(names)} {what} {list(names[:MOST_LISTED])}"
