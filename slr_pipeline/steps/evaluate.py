"""Accuracy of one stream on the splits it was not trained on."""

import argparse
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.config.experiment import AutslData, TableData
from slr_pipeline.config.flags import parse_data
from slr_pipeline.errors import run
from slr_pipeline.io.documents import write_document
from slr_pipeline.io.logits import read_logits
from slr_pipeline.io.provenance import provenance
from slr_pipeline.samples.table import Sample, SampleTable, labels_digest, load_samples
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


def main() -> None:
    """Parse the flags of the rule and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=parse_data)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--splits", required=True, nargs="+")
    parser.add_argument("--logits", required=True, nargs="+", help="a file for each split")
    parser.add_argument("--out", required=True)
    flags = parser.parse_args()
    files = dict(zip(flags.splits, flags.logits, strict=True))
    evaluate(flags.data, flags.seed, files, flags.out)


def evaluate(data: AutslData | TableData, seed: int, files: dict[str, str], out: str) -> None:
    """Write metrics.json of these splits; one without labels is null."""
    table = load_samples(data)
    logits = {split: read_logits(path) for split, path in files.items()}
    answered = {split: answered_samples(table, found) for split, found in logits.items()}
    temperature = None
    if "val" in answered and answered["val"][0]:
        samples, values = answered["val"]
        temperature = fit_temperature(values, [label_of(sample) for sample in samples])
    content = {
        **{
            split: detailed_metrics(table, samples, values, seed, temperature)
            for split, (samples, values) in answered.items()
        },
        "temperature": temperature,
        "protocol": next(iter(logits.values())).protocol,
        "seed": seed,
        "labels": labels_digest(table, ("val", "test")),
        **provenance(),
    }
    write_document(out, content)


def answered_samples(
    table: SampleTable, logits: Logits
) -> tuple[list[Sample], NDArray[np.float32]]:
    """The labelled samples that a stream answered, and its logits for them."""
    sample_of = {sample.name: sample for sample in table.samples}
    rows = [
        row
        for row, name in enumerate(logits.samples)
        if logits.answered[row] and sample_of[name].label is not None
    ]
    return [sample_of[logits.samples[row]] for row in rows], logits.values[rows]


def label_of(sample: Sample) -> int:
    """The label of a sample that has one."""
    assert sample.label is not None
    return sample.label


def detailed_metrics(
    table: SampleTable,
    samples: Sequence[Sample],
    scores: NDArray[np.floating],
    seed: int,
    temperature: float | None = None,
) -> dict[str, Any] | None:
    """All that is said of scores (N, K) of labelled samples; None without samples.

    With a temperature also how well calibrated the scores are at it.
    """
    if not samples:
        return None
    labels = np.asarray([label_of(sample) for sample in samples])
    signers = [sample.signer for sample in samples]
    predicted = scores.argmax(axis=1)
    correct: NDArray[np.bool_] = predicted == labels
    matrix = confusion_matrix(labels, predicted, len(table.classes))
    by_signer = bootstrap_signers(correct, signers, seed=seed)
    content: dict[str, Any] = {
        **evaluate_logits(scores.astype(np.float32), labels.tolist()),
        "bootstrap_samples": asdict(bootstrap(correct, seed=seed)),
        "bootstrap_signers": None if by_signer is None else asdict(by_signer),
        "macro_recall": macro_recall(predicted, labels),
        "calibration": calibration_of(scores, correct),
        "per_signer": per_signer(signers, correct),
        "worst_classes": [
            asdict(share)
            for share in worst(accuracy_by([table.classes[k] for k in labels], correct))
        ],
        "most_confused": [
            {
                "sign": table.classes[pair.true],
                "taken_for": table.classes[pair.taken_for],
                "count": pair.count,
                "samples": pair.samples,
            }
            for pair in most_confused(matrix)
        ],
        "confusable_signs": [
            [table.classes[k] for k in cluster.classes] for cluster in confusable_signs(matrix)
        ],
    }
    if temperature is not None:
        content["calibration_at_temperature"] = calibration_of(scores / temperature, correct)
    return content


def per_signer(signers: Sequence[str | None], correct: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Samples and right answers of each signer; samples of unknown ones are left out."""
    known = [row for row, signer in enumerate(signers) if signer is not None]
    if not known:
        return []
    shares = accuracy_by([str(signers[row]) for row in known], correct[known])
    return [asdict(share) for share in shares]


def calibration_of(scores: NDArray[np.floating], correct: NDArray[np.bool_]) -> dict[str, Any]:
    """Expected calibration error and the reliability diagram behind it; null for empty bins."""
    diagram = reliability(confidences(scores), correct)
    return {
        "ece": expected_calibration_error(diagram),
        **{
            name: [
                None if math.isnan(value) else value for value in getattr(diagram, name).tolist()
            ]
            for name in ("samples", "confidence", "accuracy")
        },
    }


if __name__ == "__main__":
    run(main)
