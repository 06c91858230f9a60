"""Late fusion of streams: logits joined by sample name and weighed. Pure.

M streams, N samples, K classes. Two fusions: `fuse` is the published one, a weighted mean of raw
logits; `fit_calibration` and `fuse_calibrated` bring the streams to one scale first, and find the
weights, both on val.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import ConfigError, DataError
from slr_pipeline.scoring.calibration import (
    fit_temperature,
    fit_weights,
    log_probabilities,
    weighted_mean,
)
from slr_pipeline.scoring.logits import Logits

MOST_LISTED = 5
"""Names of one kind of problem in a message."""


@dataclass(frozen=True)
class Fused:
    """Scores (N, K) float64, and how many streams answered each sample (N,) int."""

    scores: NDArray[np.float64]
    answers: NDArray[np.int64]


@dataclass(frozen=True)
class Joined:
    """Streams in one order of samples: `values` (M, N, K) float64 and `answered` (M, N).

    Values are logits, or log-probabilities once calibrated; 0 where a stream did not answer. The
    protocol is that of them all.
    """

    streams: tuple[str, ...]
    values: NDArray[np.float64]
    answered: NDArray[np.bool_]
    protocol: str


@dataclass(frozen=True)
class Calibration:
    """What was fitted to val, by stream: temperatures, and weights of sum 1."""

    temperatures: dict[str, float]
    weights: dict[str, float]


@dataclass(frozen=True)
class HeldOut:
    """Top-1 shares of the calibrated fusion on val, and the weights with each signer left out.

    `in_sample` is of temperatures and weights fitted to the samples they are scored on,
    `held_out` of ones fitted to the other signers. Both count the `samples` that have a label and
    an answer.
    """

    samples: int
    in_sample: float
    held_out: float
    weights: dict[str, dict[str, float]]


def fit_calibration(joined: Joined, labels: Sequence[int | None]) -> Calibration:
    """Temperature of each stream, then weights of all, on the samples that have labels (N,).

    `joined` holds raw logits of samples the streams were not trained on. See `fit_temperature` and
    `fit_weights` for what holds them where samples are few. DataError for a stream that answered no
    sample with a label.
    """
    rows, truth = _labelled(labels, joined.answered.shape[1])
    known = _take_samples(joined, rows)
    temperatures = {}
    for m, stream in enumerate(known.streams):
        given = known.answered[m]
        if not given.any():
            raise DataError(
                f"stream {stream}: it answered none of the {len(rows)} samples that have a label, "
                "so it cannot be calibrated; leave it out or fuse as published"
            )
        temperatures[stream] = fit_temperature(known.values[m, given], truth[given].tolist())
    scaled = calibrated(known, Calibration(temperatures, {}))
    weights = fit_weights(scaled.values, truth.tolist(), scaled.answered)
    return Calibration(temperatures, dict(zip(known.streams, weights.tolist(), strict=True)))


def join(logits: Mapping[str, Logits], samples: Sequence[str]) -> Joined:
    """The streams in the order of `samples`, joined by name.

    Raises DataError, with the first of them, for missing, extra or doubled names, for classes or a
    protocol unlike the first stream's, and without streams.
    """
    if not logits:
        raise DataError("no streams to join; name at least one in the track")
    doubled = _doubled(samples)
    if doubled:
        raise DataError(f"the sample table has {_listed('doubled', doubled)}; names are unique")
    first, reference = next(iter(logits.items()))
    values = np.zeros((len(logits), len(samples), len(reference.classes)))
    answered = np.zeros((len(logits), len(samples)), dtype=bool)
    for m, (stream, found) in enumerate(logits.items()):
        rows = _rows_of(stream, found, samples)
        _check_same(stream, found, first, reference)
        answered[m] = found.answered[rows]
        values[m] = np.where(answered[m][:, None], found.values[rows], 0.0)
    return Joined(tuple(logits), values, answered, reference.protocol)


def concatenated(parts: Sequence[Logits]) -> Logits:
    """The logits of several files as if they were of one; classes and protocol are the first's.

    DataError where another's are not.
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
    """Logits as log-probabilities log softmax(x_m / T_m)."""
    _check_streams("a temperature", calibration.temperatures, joined.streams)
    values = np.zeros_like(joined.values)
    for m, stream in enumerate(joined.streams):
        rows = joined.answered[m]
        values[m, rows] = log_probabilities(
            joined.values[m, rows], calibration.temperatures[stream]
        )
    return replace(joined, values=values)


def fuse(joined: Joined, weights: Mapping[str, float], prior: NDArray[np.float64]) -> Fused:
    """Weighted mean of the streams' values, sum(w_m x_m) / sum(w_m).

    A sample that some streams did not answer is the mean over those that did; one that no
    stream answered gets the log of the class prior (K,). Source: SAM-SLR, section 3.6 (late
    fusion); the published code sums over all streams, which is the same where all answered.

    Raises DataError for streams without a weight or the reverse and for a prior of other classes;
    ConfigError for weights that are not positive.
    """
    _check_streams("a weight", weights, joined.streams)
    _check_positive(weights, "track")
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


def flat_weights(
    weights: Mapping[str, float], groups: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    """Weights of streams that do what nested weights do; a name of `groups` stands for its mean.

    {"skeleton": 1.0, "rgb": 0.9} with skeleton = {"joint": 3, "bone": 1} is joint 0.75, bone 0.25,
    rgb 0.9. Groups may hold groups, and a stream may stand in several: its weights add. The sum
    stays that of `weights`. So `fuse` gives what fusing group by group gives where every stream
    answered; where one did not, the others share its weight as equals of one group.

    Raises ConfigError for weights that are not positive, an empty group, one within itself, or
    one that nothing uses.
    """
    flat: dict[str, float] = {}
    used: set[str] = set()

    def add(members: Mapping[str, float], scale: float, path: tuple[str, ...]) -> None:
        _check_positive(members, f"group {path[-1]}" if path else "track")
        for name, weight in members.items():
            if name in path:
                raise ConfigError(
                    f"group {name} stands within itself ({' > '.join((*path, name))}); "
                    "take it out of one of them"
                )
            if name in groups:
                used.add(name)
                total = sum(groups[name].values()) or 1.0  # of nothing: refused by the call
                add(groups[name], scale * weight / total, (*path, name))
            else:
                flat[name] = flat.get(name, 0.0) + scale * weight

    add(weights, 1.0, ())
    unused = [name for name in groups if name not in used]
    if unused:
        raise ConfigError(
            f"{_listed('unused', unused)} of {len(groups)} groups of streams; weigh or delete them"
        )
    return flat


def drop_one_stream(
    joined: Joined,
    weights: Mapping[str, float],
    prior: NDArray[np.float64],
    labels: Sequence[int | None],
) -> dict[str, float]:
    """Top-1 share of the fusion without each stream, over the samples that have labels.

    Weights are not fitted again: the others keep theirs, which their mean renormalises. A sample
    that only this stream answered falls on the prior. Empty for one stream.
    """
    rows, truth = _labelled(labels, joined.answered.shape[1])
    shares = {}
    for m, stream in enumerate(joined.streams if len(joined.streams) > 1 else ()):
        rest = _take_streams(joined, np.arange(len(joined.streams)) != m)
        left = {name: weights[name] for name in rest.streams}
        picked = fuse(rest, left, prior).scores[rows].argmax(axis=1)
        shares[stream] = float((picked == truth).mean())
    return shares


def leave_one_signer_out(
    joined: Joined, labels: Sequence[int | None], signers: Sequence[str | None]
) -> HeldOut | None:
    """What the calibrated fusion scores on signers that neither temperatures nor weights saw.

    `joined` holds raw logits; `labels`, `signers` (N,). Only samples with a label and an answer
    take part. None with fewer than two signers, or where one is not known. As many fits as signers.
    """
    rows, truth = _labelled(labels, joined.answered.shape[1])
    seen = joined.answered[:, rows].any(axis=0)
    rows, truth = rows[seen], truth[seen]
    names = [signers[row] for row in rows]
    groups = sorted({name for name in names if name is not None})
    if None in names or len(groups) < 2:
        return None
    known = _take_samples(joined, rows)
    picked = np.zeros_like(truth)
    weights = {}
    for signer in groups:
        out = np.asarray([name == signer for name in names])
        fitted = fit_calibration(_take_samples(known, ~out), truth[~out].tolist())
        picked[out] = _picked(_take_samples(known, out), fitted)
        weights[signer] = fitted.weights
    everyone = _picked(known, fit_calibration(known, truth.tolist()))
    return HeldOut(
        samples=len(truth),
        in_sample=float((everyone == truth).mean()),
        held_out=float((picked == truth).mean()),
        weights=weights,
    )


def class_prior(labels: Sequence[int], classes: int) -> NDArray[np.float64]:
    """Share of each class (K,) among training labels, with one added to every count."""
    counts = np.bincount(np.asarray(labels, dtype=np.int64), minlength=classes) + 1.0
    prior: NDArray[np.float64] = counts / counts.sum()
    return prior


def _picked(joined: Joined, fitted: Calibration) -> NDArray[np.int64]:
    """The class (N,) of each sample; every one has an answer."""
    K = joined.values.shape[2]
    scores = fuse(calibrated(joined, fitted), fitted.weights, np.full(K, 1 / K)).scores
    picked: NDArray[np.int64] = scores.argmax(axis=1)
    return picked


def _take_samples(joined: Joined, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Joined:
    return replace(joined, values=joined.values[:, rows], answered=joined.answered[:, rows])


def _take_streams(joined: Joined, which: NDArray[np.bool_]) -> Joined:
    names = tuple(name for name, kept in zip(joined.streams, which, strict=True) if kept)
    return replace(
        joined, streams=names, values=joined.values[which], answered=joined.answered[which]
    )


def _labelled(labels: Sequence[int | None], N: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that have a label, and the labels."""
    if len(labels) != N:
        raise DataError(f"{len(labels)} labels for {N} samples, expected one each")
    rows = [row for row, label in enumerate(labels) if label is not None]
    if not rows:
        raise DataError(f"none of the {N} samples has a label; name a label file of val")
    truth = [label for label in labels if label is not None]
    return np.asarray(rows, dtype=np.int64), np.asarray(truth, dtype=np.int64)


def _rows_of(stream: str, logits: Logits, samples: Sequence[str]) -> NDArray[np.int64]:
    row_of = {name: row for row, name in enumerate(logits.samples)}
    missing = [name for name in samples if name not in row_of]
    extra = sorted(set(row_of) - set(samples))
    doubled = _doubled(logits.samples)
    if missing or extra or doubled:
        raise DataError(
            f"stream {stream}: its logits are of other samples than the table; "
            f"{_listed('missing', missing)}, {_listed('extra', extra)}, "
            f"{_listed('doubled', doubled)}; run predict again on this table"
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
            f"stream {stream} was made by protocol {logits.protocol}, stream {first} by "
            f"{other.protocol}; a track needs one protocol"
        )


def _check_streams(what: str, known: Mapping[str, float], streams: Sequence[str]) -> None:
    """Every stream has what `known` gives, and nothing else does."""
    missing = [name for name in streams if name not in known]
    extra = [name for name in known if name not in streams]
    if missing or extra:
        raise DataError(
            f"streams and {what} for each do not match: {_listed('without', missing)}, "
            f"{_listed('of no logits', extra)}; name the same streams in both"
        )


def _check_positive(weights: Mapping[str, float], where: str) -> None:
    wrong = [name for name, weight in weights.items() if not 0 < weight < np.inf]
    if wrong or not weights:
        found = f"{wrong[0]} {weights[wrong[0]]}" if wrong else "none"
        raise ConfigError(f"weights of {where}: found {found}, expected positive numbers")


def _doubled(names: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _listed(what: str, names: Sequence[str]) -> str:
    return f"{len(names)} {what} {list(names[:MOST_LISTED])}"
