"""Evaluate one stream on the splits it was not trained on."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.config.experiment import DataSettings
from slr_pipeline.io.documents import write_document
from slr_pipeline.io.logits import read_logits
from slr_pipeline.io.provenance import provenance
from slr_pipeline.samples.shards import labels_digest
from slr_pipeline.samples.table import (
    Sample,
    SampleTable,
    label_of,
    load_samples,
    signer_warnings,
)
from slr_pipeline.scoring.accuracy import evaluate as evaluate_logits
from slr_pipeline.scoring.calibration import fit_temperature
from slr_pipeline.scoring.confusion import confusable_signs, confusion_matrix, most_confused
from slr_pipeline.scoring.logits import Logits
from slr_pipeline.scoring.statistics import (
    accuracy_by,
    bootstrap,
    bootstrap_signers,
    confidences,
    expected_calibration_error,
    macro_recall,
    reliability,
    worst,
)


def evaluate(data: DataSettings, seed: int, splits: list[str], logits: list[str], out: str) -> None:
    """Write metrics.json of splits, one file of logits each; a split without labels is null."""
    table = load_samples(data)
    logits_of = dict(zip(splits, map(read_logits, logits), strict=True))
    answered = {split: answered_samples(table, own) for split, own in logits_of.items()}
    temperature = None
    if "val" in answered and answered["val"][0]:
        samples, values = answered["val"]
        temperature = fit_temperature(values, [label_of(sample) for sample in samples])
    metrics = {
        split: detailed_metrics(table, samples, values, seed, temperature)
        for split, (samples, values) in answered.items()
    }
    for split, own in logits_of.items():
        found = metrics[split]
        if found is not None and own.seeds is not None:
            found["seeds"] = metrics_of_seeds(table, own)
    content = {
        **metrics,
        "temperature": temperature,
        "protocol": next(iter(logits_of.values())).protocol,
        "seed": seed,
        "labels": labels_digest(table, ("val", "test")),
        "warnings": signer_warnings(table),
        **provenance(),
    }
    write_document(out, content)


def answered_samples(
    table: SampleTable, logits: Logits
) -> tuple[list[Sample], NDArray[np.float32]]:
    """Labelled samples that a stream answered, and their logits."""
    sample_of = {sample.name: sample for sample in table.samples}
    rows = [
        row
        for row, name in enumerate(logits.samples)
        if logits.answered[row] and sample_of[name].label is not None
    ]
    return [sample_of[logits.samples[row]] for row in rows], logits.values[rows]


def metrics_of_seeds(table: SampleTable, logits: Logits) -> list[dict[str, float]]:
    """Accuracy of each of a stream's seeds alone, on the samples that the stream answered."""
    assert logits.seeds is not None
    found = []
    for values in np.moveaxis(logits.seeds, 1, 0):
        samples, scores = answered_samples(table, replace(logits, values=values))
        found.append(evaluate_logits(scores, [label_of(sample) for sample in samples]))
    return found


def detailed_metrics(
    table: SampleTable,
    samples: Sequence[Sample],
    scores: NDArray[np.floating],
    seed: int,
    temperature: float | None = None,
) -> dict[str, Any] | None:
    """Metrics of scores (N, K) of labelled samples; None without samples.

    A temperature adds the calibration of the scores at this temperature.
    """
    if not samples:
        return None
    labels = np.asarray([label_of(sample) for sample in samples])
    signers = [sample.signer for sample in samples]
    predicted = scores.argmax(axis=1)
    correct: NDArray[np.bool_] = predicted == labels
    classes = np.asarray(table.classes)
    matrix = confusion_matrix(labels, predicted, len(classes))
    errors = most_confused(matrix)
    by_signer = bootstrap_signers(correct, signers, seed=seed)
    content: dict[str, Any] = {
        **evaluate_logits(scores.astype(np.float32), labels.tolist()),
        "bootstrap_samples": asdict(bootstrap(correct, seed=seed)),
        "bootstrap_signers": None if by_signer is None else asdict(by_signer),
        "macro_recall": macro_recall(predicted, labels),
        "calibration": calibration_of(scores, correct),
        "per_signer": accuracy_by(signers, correct).to_dict("records"),
        "worst_classes": worst(accuracy_by(classes[labels].tolist(), correct)).to_dict("records"),
        "most_confused": errors.assign(
            sign=classes[errors["sign"]], taken_for=classes[errors["taken_for"]]
        ).to_dict("records"),
        "confusable_signs": [
            [table.classes[k] for k in cluster] for cluster in confusable_signs(matrix)
        ],
    }
    if temperature is not None:
        content["calibration_at_temperature"] = calibration_of(scores / temperature, correct)
    return content


def calibration_of(scores: NDArray[np.floating], correct: NDArray[np.bool_]) -> dict[str, Any]:
    """Expected calibration error and its reliability diagram, with None for empty bins."""
    diagram = reliability(confidences(scores), correct)
    lists = diagram.astype(object).where(diagram.notna(), None).to_dict("list")
    return {"ece": expected_calibration_error(diagram), **lists}
