"""Weigh the streams of a track; write its submission and its metrics."""

import argparse
import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.cli import provenance, run
from slr_pipeline.config import (
    SPLITS,
    AutslData,
    Split,
    TableData,
    TrackSettings,
    parse_data,
    parse_section,
)
from slr_pipeline.ensemble import (
    Calibration,
    Fused,
    Joined,
    calibrated,
    class_prior,
    drop_one_stream,
    fit_calibration,
    fuse_joined,
    join,
    leave_one_signer_out,
)
from slr_pipeline.errors import DataError
from slr_pipeline.io.logits import Logits, read_logits
from slr_pipeline.io.submission import read_predictions, read_template, write_submission
from slr_pipeline.io.whole import write_text
from slr_pipeline.samples import SampleTable, labels_digest, load_samples
from slr_pipeline.statistics import mcnemar_exact
from slr_pipeline.steps.evaluate import detailed_metrics

log = logging.getLogger(__name__)


def main() -> None:
    """Parse the flags of the rule and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=parse_data)
    parser.add_argument("--track", required=True, type=partial(parse_section, TrackSettings))
    parser.add_argument("--protocol", required=True)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--val", required=True, nargs="+")
    parser.add_argument("--test", required=True, nargs="+")
    parser.add_argument("--out", required=True)
    parser.add_argument("--metrics", required=True)
    flags = parser.parse_args()
    files: dict[Split, list[str]] = {"val": flags.val, "test": flags.test}
    ensemble(flags.data, flags.track, flags.protocol, flags.seed, files, flags.out, flags.metrics)


def ensemble(
    data: AutslData | TableData,
    track: TrackSettings,
    protocol: str,
    seed: int,
    files: dict[Split, list[str]],
    out: str,
    metrics: str,
) -> None:
    """Write submission.csv and .zip of test, and metrics.json of val and test."""
    table = load_samples(data)
    known = [sample.label for sample in table.split("train") if sample.label is not None]
    prior = class_prior(known, len(table.classes))
    logits = {
        split: {name: read_logits(path) for name, path in zip(track.streams, paths, strict=True)}
        for split, paths in files.items()
    }
    joined = {
        split: join(found, [sample.name for sample in table.split(split)])
        for split, found in logits.items()
    }
    calibration = calibration_of_track(table, track, logits["val"])
    if track.fusion == "calibrated":
        ready = {split: calibrated(found, calibration) for split, found in joined.items()}
    else:
        ready = joined
    weights = calibration.weights
    fused = {split: fuse_joined(found, weights, prior) for split, found in ready.items()}
    content: dict[str, Any] = {
        **{split: labelled_metrics(table, split, found, seed) for split, found in fused.items()},
        "answered_by": {
            split: {str(n): count for n, count in sorted(Counter(found.answers.tolist()).items())}
            for split, found in fused.items()
        },
        "fusion": track.fusion,
        "streams": list(track.streams),
        "weights": weights,
        "temperatures": calibration.temperatures or None,
        "top1_without": {
            split: drop_one_stream(found, weights, prior, labels_of(table, split))
            for split, found in ready.items()
            if any(label is not None for label in labels_of(table, split))
        },
        "val_left_out": left_out(table, track, joined["val"]),
        "baseline": compared(table, track, fused["test"]),
        "protocol": protocol,
        "seed": seed,
        "labels": labels_digest(table, SPLITS),
        **provenance(),
    }
    names = [sample.name for sample in table.split("test")]
    labels = np.argmax(fused["test"].scores, axis=1).tolist()
    template = None if track.template is None else read_template(track.template)
    rows = list(zip(names, labels, strict=True))
    write_submission(out, rows, names, len(table.classes), template)
    write_text(metrics, json.dumps(content, indent=2) + "\n")
    for split in files:
        if content[split] is not None:
            log.info(
                "%s: top-1 %.4f of %d", split, content[split]["top1"], content[split]["samples"]
            )


def calibration_of_track(
    table: SampleTable, track: TrackSettings, val: Mapping[str, Logits]
) -> Calibration:
    """Temperatures and weights, fitted on val or given; without temperatures where none is used.

    Val was not trained on by what answers it here, whatever the protocol: its logits are of phase
    `train`. What is fitted is frozen for test.
    """
    given = {name: weight for name, weight in track.streams.items() if weight is not None}
    if track.fusion == "published":
        return Calibration({}, given)
    labels = labels_of(table, "val")
    if all(label is None for label in labels):
        raise DataError(
            "fusion calibrated is fitted on the labels of val, and there are none; use fusion "
            "published with weights"
        )
    for stream, found in val.items():
        if found.protocol != "strict":
            raise DataError(
                f"stream {stream}: its logits of val are of protocol {found.protocol}, trained on "
                "val, so nothing can be fitted to them; bring logits of protocol strict, or use "
                "fusion published with weights"
            )
    fitted = fit_calibration(val, [sample.name for sample in table.split("val")], labels)
    return Calibration(fitted.temperatures, given) if given else fitted


def labels_of(table: SampleTable, split: Split) -> list[int | None]:
    """Labels of a split in table order; None where unknown."""
    return [sample.label for sample in table.split(split)]


def labelled_metrics(
    table: SampleTable, split: Split, fused: Fused, seed: int
) -> dict[str, Any] | None:
    """Metrics over every labelled row of a split, however it was answered; None without labels."""
    samples = table.split(split)
    rows = [row for row, sample in enumerate(samples) if sample.label is not None]
    return detailed_metrics(table, [samples[row] for row in rows], fused.scores[rows], seed)


def left_out(table: SampleTable, track: TrackSettings, val: Joined) -> dict[str, Any] | None:
    """How good fitted weights are on signers they were not fitted to; None where none are."""
    if any(weight is not None for weight in track.streams.values()):
        return None
    signers = [sample.signer for sample in table.split("val")]
    found = leave_one_signer_out(val, labels_of(table, "val"), signers)
    return None if found is None else asdict(found)


def compared(table: SampleTable, track: TrackSettings, fused: Fused) -> dict[str, Any] | None:
    """McNemar's exact test against the baseline on test; None without one, or without labels."""
    samples = table.split("test")
    rows = [row for row, sample in enumerate(samples) if sample.label is not None]
    if track.baseline is None or not rows:
        return None
    theirs = dict(read_predictions(track.baseline, len(table.classes)))
    missing = [samples[row].name for row in rows if samples[row].name not in theirs]
    if missing:
        raise DataError(
            f"{track.baseline}: {len(missing)} of {len(rows)} test samples are not in it, first "
            f"{missing[0]}; a baseline must answer the same samples"
        )
    labels = np.asarray([samples[row].label for row in rows])
    predicted: NDArray[np.int64] = fused.scores[rows].argmax(axis=1)
    other = np.asarray([theirs[samples[row].name] for row in rows])
    test = mcnemar_exact(predicted == labels, other == labels)
    return {
        "file": Path(track.baseline).name,
        "top1": float((other == labels).mean()),
        **asdict(test),
    }


if __name__ == "__main__":
    run(main)
