"""Fuse the streams of a track; write its submission, answers and metrics."""

import logging
from collections import Counter
from typing import Any

import numpy as np

from slr_pipeline.config.experiment import SPLITS, DataSettings, Split
from slr_pipeline.config.tracks import TrackSettings
from slr_pipeline.io.documents import write_document
from slr_pipeline.io.predictions import write_answers
from slr_pipeline.io.provenance import provenance
from slr_pipeline.io.submission import read_template, write_submission
from slr_pipeline.samples.shards import labels_digest
from slr_pipeline.samples.table import SampleTable, load_samples, signer_warnings
from slr_pipeline.scoring.ensemble import drop_one_stream
from slr_pipeline.steps.evaluate import detailed_metrics
from slr_pipeline.tracks.answers import answer_rows, reject
from slr_pipeline.tracks.fusion import (
    FusedTrack,
    fitted_on,
    fuse_track,
    join_split,
    labels_of,
    read_streams,
)
from slr_pipeline.tracks.metrics import (
    compare_with_baseline,
    labelled_scores,
    score_left_out_signers,
    score_without_twins,
)

log = logging.getLogger(__name__)


def ensemble(
    data: DataSettings,
    track: TrackSettings,
    protocol: str,
    seed: int,
    test: list[str],
    out: str,
    predictions: str,
    metrics: str,
    val: list[str] | None = None,
    out_of_fold: list[list[str]] | None = None,
    duplicates: str | None = None,
) -> None:
    """Write submission.csv and .zip of test; predictions.csv and metrics.json of test and val.

    `val` and `test` are files of logits, one per stream, those of `untuned` last; no `val` if a
    stream has no logits of val. Temperatures and weights are fitted on `out_of_fold` (logits of
    train by stream) if given, else on val. `duplicates` is duplicates.csv, for the accuracy without
    copies of training clips; None: unknown.
    """
    files: dict[Split, list[str]] = {"test": test} if val is None else {"val": val, "test": test}
    table = load_samples(data)
    joined = {
        split: join_split(
            table, split, read_streams(track, paths, protocol if split == "test" else "strict")
        )
        for split, paths in files.items()
    }
    own = fuse_track(table, track, joined, out_of_fold)
    rejection = reject(table, track, own.fitted_split, own.unseen)
    content = {
        **scores_of(table, own, seed),
        "fusion": track.fusion,
        "streams": list(own.calibration.weights),
        "fitted_on": fitted_on(track, out_of_fold),
        "weights": own.calibration.weights,
        "temperatures": own.calibration.temperatures or None,
        "rejection": rejection,
        "top1_without": accuracy_without_a_stream(table, own),
        "test_without_twins": score_without_twins(table, own.fused["test"], protocol, duplicates),
        "val_left_out": score_left_out_signers(table, track, joined, own.fused, out_of_fold),
        "baseline": compare_with_baseline(table, track, own.fused["test"]),
        "protocol": protocol,
        "seed": seed,
        "labels": labels_digest(table, SPLITS),
        "warnings": signer_warnings(table),
        **provenance(),
    }
    names = [sample.name for sample in table.split("test")]
    labels = np.argmax(own.fused["test"].scores, axis=1).tolist()
    template = None if track.template is None else read_template(track.template)
    rows = list(zip(names, labels, strict=True))
    write_submission(out, rows, names, len(table.classes), template)
    threshold = rejection["threshold"]
    splits: tuple[Split, ...] = ("test", "val")
    answers = [
        answer_rows(table, split, joined[split], own.fused[split], threshold)
        for split in splits
        if split in joined
    ]
    write_answers(predictions, [row for part in answers for row in part])
    write_document(metrics, content)
    for split in files:
        if (found := content[split]) is not None:
            log.info("%s: top-1 %.4f of %d", split, found["top1"], found["samples"])
    log.info("threshold of accepted answers: %s", threshold or rejection["reason"])


def scores_of(table: SampleTable, own: FusedTrack, seed: int) -> dict[str, Any]:
    """Metrics of val and test, None without labels, and the number of streams that answered."""
    return {
        "val": None,
        **{
            split: detailed_metrics(table, *labelled_scores(table, split, fused), seed)
            for split, fused in own.fused.items()
        },
        "answered_by": {
            split: {str(n): count for n, count in sorted(Counter(fused.answers.tolist()).items())}
            for split, fused in own.fused.items()
        },
    }


def accuracy_without_a_stream(table: SampleTable, own: FusedTrack) -> dict[str, dict[str, float]]:
    """Accuracy of each labelled split without each of the streams."""
    labels = {split: labels_of(table, split) for split in own.scaled}
    return {
        split: drop_one_stream(streams, own.calibration.weights, own.prior, labels[split])
        for split, streams in own.scaled.items()
        if any(label is not None for label in labels[split])
    }
