"""Weigh the streams of a track; write its submission and its metrics."""

import argparse
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.config.experiment import SPLITS, AutslData, Split, TableData
from slr_pipeline.config.flags import parse_data, parse_section
from slr_pipeline.config.tracks import TrackSettings
from slr_pipeline.errors import DataError, run
from slr_pipeline.io.documents import write_document
from slr_pipeline.io.logits import read_logits
from slr_pipeline.io.provenance import provenance
from slr_pipeline.io.submission import read_predictions, read_template, write_submission
from slr_pipeline.samples.table import SampleTable, labels_digest, load_samples
from slr_pipeline.scoring.ensemble import (
    Calibration,
    Fused,
    Joined,
    calibrated,
    class_prior,
    concatenated,
    drop_one_stream,
    fit_calibration,
    fuse,
    join,
    leave_one_signer_out,
)
from slr_pipeline.scoring.logits import Logits
from slr_pipeline.scoring.statistics import mcnemar_exact
from slr_pipeline.steps.evaluate import detailed_metrics

log = logging.getLogger(__name__)


def main() -> None:
    """Parse the flags of the rule and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=parse_data)
    parser.add_argument("--track", required=True, type=partial(parse_section, TrackSettings))
    parser.add_argument("--protocol", required=True)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--val", nargs="+", help="left out where a stream has none")
    parser.add_argument("--test", required=True, nargs="+")
    parser.add_argument(
        "--out-of-fold", action="append", nargs="+", help="a stream's logits of train; once each"
    )
    parser.add_argument("--out", required=True)
    parser.add_argument("--metrics", required=True)
    flags = parser.parse_args()
    files: dict[Split, list[str]] = {"test": flags.test}
    if flags.val:
        files = {"val": flags.val, **files}
    ensemble(
        flags.data,
        flags.track,
        flags.protocol,
        flags.seed,
        files,
        flags.out_of_fold,
        flags.out,
        flags.metrics,
    )


def ensemble(
    data: AutslData | TableData,
    track: TrackSettings,
    protocol: str,
    seed: int,
    files: dict[Split, list[str]],
    out_of_fold: list[list[str]] | None,
    out: str,
    metrics: str,
) -> None:
    """Write submission.csv and .zip of test, and metrics.json of val and test.

    `files` are logits by stream, those of `untuned` last. Temperatures and weights are fitted on
    `out_of_fold`, files of train by stream, where they are given, else on val.
    """
    table = load_samples(data)
    known = [sample.label for sample in table.split("train") if sample.label is not None]
    prior = class_prior(known, len(table.classes))
    joined = {
        split: join_split(table, split, read_streams(track, paths))
        for split, paths in files.items()
    }
    if joined["test"].protocol != protocol:
        raise DataError(
            f"the logits of test are of protocol {joined['test'].protocol}, and the experiment's "
            f"is {protocol}; set protocol, or bring the others"
        )
    calibration = calibration_of_track(table, track, joined.get("val"), out_of_fold)
    if track.fusion == "calibrated":
        ready = {split: calibrated(found, calibration) for split, found in joined.items()}
    else:
        ready = joined
    weights = calibration.weights
    fused = {split: fuse(found, weights, prior) for split, found in ready.items()}
    content: dict[str, Any] = {
        "val": None,
        **{split: labelled_metrics(table, split, found, seed) for split, found in fused.items()},
        "answered_by": {
            split: {str(n): count for n, count in sorted(Counter(found.answers.tolist()).items())}
            for split, found in fused.items()
        },
        "fusion": track.fusion,
        "streams": list(weights),
        "fitted_on": fitted_on(track, out_of_fold),
        "weights": weights,
        "temperatures": calibration.temperatures or None,
        "top1_without": {
            split: drop_one_stream(found, weights, prior, labels_of(table, split))
            for split, found in ready.items()
            if any(label is not None for label in labels_of(table, split))
        },
        "val_left_out": left_out(table, track, joined.get("val"), out_of_fold),
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
    write_document(metrics, content)
    for split in files:
        if content[split] is not None:
            log.info(
                "%s: top-1 %.4f of %d", split, content[split]["top1"], content[split]["samples"]
            )


def read_streams(track: TrackSettings, paths: Sequence[str]) -> dict[str, Logits]:
    """Logits of a track's streams, then of its `untuned` ones, which are called {stream}/train.

    DataError where these were trained on more than train.
    """
    logits = {
        name: read_logits(path)
        for name, path in zip([*track.streams, *map(before, track.untuned)], paths, strict=True)
    }
    for stream in map(before, track.untuned):
        if logits[stream].protocol != "strict":
            raise DataError(
                f"stream {stream}: its logits are of protocol {logits[stream].protocol}, and "
                "`untuned` takes those from before fine-tuning; bring logits of protocol strict"
            )
        # Named as what stands beside fine-tuned streams on purpose.
        logits[stream] = replace(logits[stream], protocol=logits[next(iter(logits))].protocol)
    return logits


def before(stream: str) -> str:
    """What the logits of a stream from before its fine-tuning are called."""
    return f"{stream}/train"


def join_split(table: SampleTable, split: Split, logits: Mapping[str, Logits]) -> Joined:
    """The streams in the order of a split of the table."""
    return join(logits, [sample.name for sample in table.split(split)])


def fitted_on(track: TrackSettings, out_of_fold: list[list[str]] | None) -> str | None:
    """What temperatures, and weights that are not given, come from."""
    if track.fusion == "published":
        return None
    return "val" if out_of_fold is None else "train, out of fold"


def calibration_of_track(
    table: SampleTable,
    track: TrackSettings,
    val: Joined | None,
    out_of_fold: list[list[str]] | None,
) -> Calibration:
    """Temperatures and weights, fitted or given; without temperatures where none is used.

    Neither val nor what is out of fold was trained on by what answers it here, whatever the
    protocol: val's logits are of phase `train`. What is fitted is frozen for test.
    """
    given = {name: weight for name, weight in track.streams.items() if weight is not None}
    if track.fusion == "published":
        untuned = {before(stream): weight for stream, weight in track.untuned.items()}
        return Calibration({}, {**given, **untuned})
    split: Split = "val"
    joined = val
    if out_of_fold is not None:
        split = "train"
        parts = zip(track.streams, out_of_fold, strict=True)
        logits = {name: concatenated([read_logits(p) for p in paths]) for name, paths in parts}
        joined = join_split(table, split, logits)
    if joined is None:
        raise DataError("fusion calibrated is fitted on val, and there are no logits of it")
    labels = labels_of(table, split)
    if all(label is None for label in labels):
        raise DataError(
            f"fusion calibrated is fitted on the labels of {split}, and there are none; use fusion "
            "published with weights"
        )
    if joined.protocol != "strict":
        raise DataError(
            f"the logits of {split} are of protocol {joined.protocol}, trained on val, so nothing "
            "can be fitted to them; bring logits of protocol strict, or use fusion published with "
            "weights"
        )
    fitted = fit_calibration(joined, labels)
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


def left_out(
    table: SampleTable,
    track: TrackSettings,
    val: Joined | None,
    out_of_fold: list[list[str]] | None,
) -> dict[str, Any] | None:
    """How good fitted weights are on signers they were not fitted to; None where none are.

    Weights that were fitted out of fold saw no signer of val: val itself tells.
    """
    if (
        val is None
        or out_of_fold is not None
        or any(weight is not None for weight in track.streams.values())
    ):
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
