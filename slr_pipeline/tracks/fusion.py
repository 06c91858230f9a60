"""The streams of a track: their logits, joined by sample, calibrated and fused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.config.experiment import Split
from slr_pipeline.config.tracks import TrackSettings
from slr_pipeline.errors import DataError
from slr_pipeline.io.logits import read_logits
from slr_pipeline.samples.table import SampleTable
from slr_pipeline.scoring.ensemble import (
    Calibration,
    Fused,
    Joined,
    calibrated,
    class_prior,
    concatenated,
    fit_calibration,
    fuse,
    join,
)
from slr_pipeline.scoring.logits import Logits


@dataclass(frozen=True)
class FusedTrack:
    """The streams of a track by split, and what they are fused with.

    `scaled` are the values that are fused, with `prior` where no stream answered. Temperatures and
    weights are fitted on `fitted_split`, unless they are given. `unseen` has the answers to that
    split by models that were not trained on it, beside those of `fused`.
    """

    fitted_split: Split
    calibration: Calibration
    prior: NDArray[np.float64]
    scaled: Mapping[Split, Joined]
    fused: Mapping[Split, Fused]
    unseen: Mapping[Split, Fused]


def fuse_track(
    table: SampleTable,
    track: TrackSettings,
    joined: Mapping[Split, Joined],
    out_of_fold: list[list[str]] | None,
) -> FusedTrack:
    """Fit a track on `out_of_fold` (logits of train by stream) if given, else on val; fuse it."""
    train = [label for label in labels_of(table, "train") if label is not None]
    prior = class_prior(train, len(table.classes))
    split, held_out = held_out_logits(table, track, joined.get("val"), out_of_fold)
    calibration = calibration_of_track(table, track, split, held_out)
    weights = calibration.weights
    scaled = {name: scale(track, calibration, streams) for name, streams in joined.items()}
    fused = {name: fuse(streams, weights, prior) for name, streams in scaled.items()}
    unseen = fused
    if held_out is not None and split not in fused:
        unseen = {split: fuse(scale(track, calibration, held_out), weights, prior), **fused}
    return FusedTrack(split, calibration, prior, scaled, fused, unseen)


def read_streams(track: TrackSettings, paths: Sequence[str], protocol: str) -> dict[str, Logits]:
    """Read the logits of a track's streams, then of its `untuned` ones, named {stream}/train.

    `protocol` is the one that the logits may have. A model that was trained on train alone may
    answer under protocol challenge too. DataError for other logits, and for untuned ones that were
    trained on more than train.
    """
    names = [*track.streams, *map(untuned_name, track.untuned)]
    logits = {}
    for name, path in zip(names, paths, strict=True):
        own = read_logits(path)
        allowed = ("strict",) if name not in track.streams else ("strict", protocol)
        if own.protocol not in allowed:
            raise DataError(
                f"stream {name}: {path} has protocol {own.protocol}, expected "
                f"{' or '.join(dict.fromkeys(allowed))}; give other logits, or change `protocol`"
            )
        logits[name] = replace(own, protocol=protocol)
    return logits


def untuned_name(stream: str) -> str:
    """Name of a stream's logits from before its fine-tuning."""
    return f"{stream}/train"


def join_split(table: SampleTable, split: Split, logits: Mapping[str, Logits]) -> Joined:
    """Join the streams in the sample order of a split."""
    return join(logits, [sample.name for sample in table.split(split)])


def labels_of(table: SampleTable, split: Split) -> list[int | None]:
    """Labels of a split in table order; None if unknown."""
    return [sample.label for sample in table.split(split)]


def signers_of(table: SampleTable, split: Split) -> list[str | None]:
    """Signers of a split in table order; None if unknown."""
    return [sample.signer for sample in table.split(split)]


def fitted_on(track: TrackSettings, out_of_fold: list[list[str]] | None) -> str | None:
    """Samples that temperatures, and weights that are not given, are fitted to."""
    if track.fusion == "published":
        return None
    return "val" if out_of_fold is None else "train, out of fold"


def held_out_logits(
    table: SampleTable,
    track: TrackSettings,
    val: Joined | None,
    out_of_fold: list[list[str]] | None,
) -> tuple[Split, Joined | None]:
    """Split and logits that a track is fitted on: out of fold of train, else those of val."""
    if out_of_fold is None:
        return "val", val
    parts = zip(track.streams, out_of_fold, strict=True)
    logits = {name: concatenated([read_logits(p) for p in paths]) for name, paths in parts}
    return "train", join_split(table, "train", logits)


def calibration_of_track(
    table: SampleTable, track: TrackSettings, split: Split, held_out: Joined | None
) -> Calibration:
    """Temperatures and weights of a track, fitted or given; published fusion has no temperatures.

    The fit never uses samples that a model was trained on: logits of val are of phase `train`, and
    logits of train are out of fold. Test uses the fitted values unchanged.
    """
    given = {name: weight for name, weight in track.streams.items() if weight is not None}
    if track.fusion == "published":
        untuned = {untuned_name(stream): weight for stream, weight in track.untuned.items()}
        return Calibration({}, {**given, **untuned})
    if held_out is None:
        raise DataError(
            "fusion calibrated is fitted on val, but a stream has no logits of val; give "
            "them, or use fusion published with weights"
        )
    labels = labels_of(table, split)
    if all(label is None for label in labels):
        raise DataError(
            f"fusion calibrated is fitted on the labels of {split}, but it has none; use fusion "
            "published with weights"
        )
    if held_out.protocol != "strict":
        raise DataError(
            f"the logits of {split} have protocol {held_out.protocol}, trained on val, so nothing "
            "can be fitted to them; give logits of protocol strict, or use fusion published with "
            "weights"
        )
    fitted = fit_calibration(held_out, labels)
    return Calibration(fitted.temperatures, given) if given else fitted


def scale(track: TrackSettings, calibration: Calibration, joined: Joined) -> Joined:
    """Values that a track fuses: calibrated log-probabilities, or logits as they are."""
    return calibrated(joined, calibration) if track.fusion == "calibrated" else joined
