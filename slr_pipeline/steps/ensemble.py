"""Fuse the streams of a track; write its submission, answers and metrics."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from slr_pipeline.config.experiment import SPLITS, DataSettings, Split
from slr_pipeline.config.flags import run_step
from slr_pipeline.config.tracks import TrackSettings
from slr_pipeline.errors import DataError
from slr_pipeline.io.documents import write_document
from slr_pipeline.io.duplicates import read_duplicates
from slr_pipeline.io.logits import read_logits
from slr_pipeline.io.predictions import write_answers
from slr_pipeline.io.provenance import provenance
from slr_pipeline.io.submission import read_predictions, read_template, write_submission
from slr_pipeline.samples.shards import labels_digest
from slr_pipeline.samples.table import Sample, SampleTable, load_samples, signer_warnings
from slr_pipeline.scoring.accuracy import evaluate
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
from slr_pipeline.scoring.rejection import (
    answer_confidences,
    choose_threshold,
    is_accepted,
    least_samples,
    summarise,
)
from slr_pipeline.scoring.statistics import mcnemar_exact
from slr_pipeline.steps.evaluate import detailed_metrics, label_of

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
    train = [label for label in labels_of(table, "train") if label is not None]
    prior = class_prior(train, len(table.classes))
    joined = {
        split: join_split(
            table, split, read_streams(track, paths, protocol if split == "test" else "strict")
        )
        for split, paths in files.items()
    }
    split, held_out = held_out_logits(table, track, joined.get("val"), out_of_fold)
    calibration = calibration_of_track(table, track, split, held_out)
    weights = calibration.weights
    scaled = {name: scale(track, calibration, streams) for name, streams in joined.items()}
    fused = {name: fuse(streams, weights, prior) for name, streams in scaled.items()}
    unseen = fused
    if held_out is not None and split not in fused:
        unseen = {split: fuse(scale(track, calibration, held_out), weights, prior), **fused}
    rejection = reject(table, track, split, unseen)
    content: dict[str, Any] = {
        "val": None,
        **{
            split: detailed_metrics(table, *labelled_scores(table, split, own), seed)
            for split, own in fused.items()
        },
        "answered_by": {
            split: {str(n): count for n, count in sorted(Counter(own.answers.tolist()).items())}
            for split, own in fused.items()
        },
        "fusion": track.fusion,
        "streams": list(weights),
        "fitted_on": fitted_on(track, out_of_fold),
        "weights": weights,
        "temperatures": calibration.temperatures or None,
        "rejection": rejection,
        "top1_without": {
            split: drop_one_stream(streams, weights, prior, labels_of(table, split))
            for split, streams in scaled.items()
            if any(label is not None for label in labels_of(table, split))
        },
        "test_without_twins": score_without_twins(table, fused["test"], protocol, duplicates),
        "val_left_out": score_left_out_signers(table, track, joined.get("val"), out_of_fold),
        "baseline": compare_with_baseline(table, track, fused["test"]),
        "protocol": protocol,
        "seed": seed,
        "labels": labels_digest(table, SPLITS),
        "warnings": signer_warnings(table),
        **provenance(),
    }
    names = [sample.name for sample in table.split("test")]
    labels = np.argmax(fused["test"].scores, axis=1).tolist()
    template = None if track.template is None else read_template(track.template)
    rows = list(zip(names, labels, strict=True))
    write_submission(out, rows, names, len(table.classes), template)
    splits: tuple[Split, ...] = ("test", "val")
    write_answers(
        predictions,
        [
            row
            for s in splits
            if s in fused
            for row in answer_rows(table, s, joined[s], fused[s], rejection["threshold"])
        ],
    )
    write_document(metrics, content)
    for split in files:
        if (own := content[split]) is not None:
            log.info("%s: top-1 %.4f of %d", split, own["top1"], own["samples"])
    log.info("threshold of accepted answers: %s", rejection["threshold"] or rejection["reason"])


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


def reject(
    table: SampleTable, track: TrackSettings, split: Split, fused: Mapping[Split, Fused]
) -> dict[str, Any]:
    """The threshold of a track, chosen on `split`, and its coverage and errors on every split.

    `threshold` is None if there is none, for this `reason`; then all answers are accepted. A split
    without labels is None. `fused` are answers of models that were not trained on their splits.
    """
    labelled = {name: labelled_confidences(table, name, own) for name, own in fused.items()}
    confidence, correct = labelled.get(split, (np.zeros(0), np.zeros(0, np.bool_)))
    target = track.accept_error
    threshold: float | None = None
    reason: str | None = None
    if target is None:
        reason = "accept_error is null"
    elif len(table.classes) == 1:
        reason = "no answer can be wrong with one class"
    elif (clips := int((confidence > 0).sum())) < least_samples(target):
        reason = (
            f"{least_samples(target)} labelled and answered clips of {split} are needed to expect "
            f"at most {100 * target:g} % errors, and there are {clips}"
        )
    elif (threshold := choose_threshold(confidence, correct, target)) is None:
        reason = f"at no confidence are at most {100 * target:g} % errors to be expected on {split}"
    return {
        "accept_error": target,
        "threshold": threshold,
        "reason": reason,
        "chosen_on": None if threshold is None else split,
        "val": None,
        **{
            name: summarise(*values, threshold) if len(values[0]) else None
            for name, values in labelled.items()
        },
    }


def labelled_confidences(
    table: SampleTable, split: Split, fused: Fused
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence of the answer to each labelled sample of a split, and whether it is right."""
    labels = labels_of(table, split)
    rows = [row for row, label in enumerate(labels) if label is not None]
    right = fused.scores[rows].argmax(axis=1) == np.asarray([labels[row] for row in rows])
    return answer_confidences(fused)[rows], np.asarray(right, np.bool_)


def labels_of(table: SampleTable, split: Split) -> list[int | None]:
    """Labels of a split in table order; None if unknown."""
    return [sample.label for sample in table.split(split)]


def signers_of(table: SampleTable, split: Split) -> list[str | None]:
    """Signers of a split in table order; None if unknown."""
    return [sample.signer for sample in table.split(split)]


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


def answer_rows(
    table: SampleTable,
    split: Split,
    joined: Joined,
    fused: Fused,
    threshold: float | None,
) -> list[dict[str, object]]:
    """Rows of predictions.csv of a split; the class prior answers clips that no stream answered."""
    accepted = is_accepted(answer_confidences(fused), threshold)
    glosses = dict(enumerate(table.classes))
    ranking = np.argsort(-fused.scores, axis=1, kind="stable")[:, :2].tolist()  # (N, 2)
    chances = softmax(fused.scores, axis=1).round(4)
    rows = []
    for n, (sample, (first, *rest)) in enumerate(zip(table.split(split), ranking, strict=True)):
        answered = [joined.streams[m] for m in np.flatnonzero(joined.answered[:, n])]
        row: dict[str, object] = {
            "sample": sample.name,
            "split": split,
            "signer": sample.signer,
            "gloss": None if sample.label is None else glosses[sample.label],
            "answer": glosses[first],
            "correct": None if sample.label is None else first == sample.label,
            "probability": chances[n, first],
            "accepted": bool(accepted[n]),
            "answered_by": " ".join(answered) or "class prior",
        }
        for second in rest:  # none with a single class
            row |= {"second": glosses[second], "second_probability": chances[n, second]}
        rows.append(row)
    return rows


def score_left_out_signers(
    table: SampleTable,
    track: TrackSettings,
    val: Joined | None,
    out_of_fold: list[list[str]] | None,
) -> dict[str, Any] | None:
    """Accuracy on signers of val with weights fitted to the other signers.

    None if the weights are given, or fitted out of fold: then val itself is unseen.
    """
    given = any(weight is not None for weight in track.streams.values())
    if val is None or out_of_fold is not None or given:
        return None
    left_out = leave_one_signer_out(val, labels_of(table, "val"), signers_of(table, "val"))
    if left_out is None:
        return None
    return {
        "samples": len(left_out.labels),
        "in_sample": float((left_out.in_sample == left_out.labels).mean()),
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


if __name__ == "__main__":
    run_step(ensemble)
