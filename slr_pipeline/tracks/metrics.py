"""Accuracy of a track: without copies, on new signers, beside a baseline."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.config.experiment import Split
from slr_pipeline.config.tracks import TrackSettings
from slr_pipeline.errors import DataError
from slr_pipeline.io.duplicates import read_duplicates
from slr_pipeline.io.submission import read_predictions
from slr_pipeline.samples.table import Sample, SampleTable, label_of
from slr_pipeline.scoring.accuracy import evaluate
from slr_pipeline.scoring.ensemble import Fused, Joined, leave_one_signer_out
from slr_pipeline.scoring.statistics import mcnemar_exact
from slr_pipeline.tracks.fusion import labels_of, signers_of


def labelled_scores(
    table: SampleTable, split: Split, fused: Fused
) -> tuple[list[Sample], NDArray[np.float64]]:
    """All labelled samples of a split, answered or not, and their fused scores."""
    samples = table.split(split)
    rows = [row for row, sample in enumerate(samples) if sample.label is not None]
    return [samples[row] for row in rows], fused.scores[rows]


def score_without_twins(
    table: SampleTable, fused: Fused, protocol: str, duplicates: str | None
) -> dict[str, float] | None:
    """Accuracy on the labelled test clips that are no copies of training clips.

    `twins` is the number of copies. Protocol challenge also trains on val. None without
    duplicates.csv or labels.
    """
    samples, scores = labelled_scores(table, "test", fused)
    if duplicates is None or not samples:
        return None
    rows = read_duplicates(duplicates)
    splits = ("train", "val") if protocol == "challenge" else ("train",)
    trained = {row.group for row in rows if row.split in splits}
    twins = {row.sample for row in rows if row.group in trained}
    kept = [n for n, sample in enumerate(samples) if sample.name not in twins]
    if not kept:
        return {"samples": 0, "twins": len(samples)}
    scored = evaluate(scores[kept].astype(np.float32), [label_of(samples[n]) for n in kept])
    names = ("samples", "correct", "top1", "top1_low", "top1_high")
    return {**{name: scored[name] for name in names}, "twins": len(samples) - len(kept)}


def score_left_out_signers(
    table: SampleTable,
    track: TrackSettings,
    joined: Mapping[Split, Joined],
    fused: Mapping[Split, Fused],
    out_of_fold: list[list[str]] | None,
) -> dict[str, Any] | None:
    """Accuracy on signers of val with weights fitted to the other signers, and to all of them.

    `joined` holds raw logits, `fused` the scores of the track. None if the weights are given, or
    fitted out of fold: then val itself is unseen.
    """
    given = any(weight is not None for weight in track.streams.values())
    if "val" not in joined or out_of_fold is not None or given:
        return None
    labels, signers = labels_of(table, "val"), signers_of(table, "val")
    left_out = leave_one_signer_out(joined["val"], labels, signers)
    if left_out is None:
        return None
    in_sample = fused["val"].scores[left_out.rows].argmax(axis=1)
    return {
        "samples": len(left_out.labels),
        "in_sample": float((in_sample == left_out.labels).mean()),
        "held_out": float((left_out.picked == left_out.labels).mean()),
        "weights": left_out.weights,
    }


def compare_with_baseline(
    table: SampleTable, track: TrackSettings, fused: Fused
) -> dict[str, Any] | None:
    """McNemar's exact test against the baseline on test; None without baseline or labels."""
    samples, scores = labelled_scores(table, "test", fused)
    if track.baseline is None or not samples:
        return None
    baseline = dict(read_predictions(track.baseline, len(table.classes)))
    missing = [sample.name for sample in samples if sample.name not in baseline]
    if missing:
        raise DataError(
            f"{track.baseline}: {len(missing)} of {len(samples)} labelled test samples are "
            f"missing, first {missing[0]}; give a baseline that answers all of them"
        )
    labels = np.asarray([sample.label for sample in samples])
    correct = np.asarray([baseline[sample.name] for sample in samples]) == labels
    test = mcnemar_exact(scores.argmax(axis=1) == labels, correct)
    return {"file": Path(track.baseline).name, "top1": float(correct.mean()), **asdict(test)}
