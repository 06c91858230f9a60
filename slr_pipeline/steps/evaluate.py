"""Accuracy of one stream on val and test."""

import argparse
import json

from slr_pipeline.cli import provenance, run
from slr_pipeline.config import AutslData, TableData, parse_data
from slr_pipeline.io.logits import Logits, read_logits
from slr_pipeline.io.whole import write_text
from slr_pipeline.samples import SampleTable, labels_digest, load_samples
from slr_pipeline.training.evaluate import evaluate as evaluate_logits


def main() -> None:
    """Parse the flags of the rule and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=parse_data)
    parser.add_argument("--val", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--out", required=True)
    flags = parser.parse_args()
    evaluate(flags.data, flags.val, flags.test, flags.out)


def evaluate(data: AutslData | TableData, val: str, test: str, out: str) -> None:
    """Write metrics.json; a split without labels is null."""
    table = load_samples(data)
    logits = {"val": read_logits(val), "test": read_logits(test)}
    content = {
        **{split: answered_metrics(table, found) for split, found in logits.items()},
        "protocol": logits["val"].protocol,
        "labels": labels_digest(table, ("val", "test")),
        **provenance(),
    }
    write_text(out, json.dumps(content, indent=2) + "\n")


def answered_metrics(table: SampleTable, logits: Logits) -> dict[str, float] | None:
    """Metrics over the labelled samples that the stream answered; None if there are none."""
    label_of = {sample.name: sample.label for sample in table.samples}
    rows, labels = [], []
    for row, name in enumerate(logits.samples):
        label = label_of.get(name)
        if label is not None and logits.answered[row]:
            rows.append(row)
            labels.append(label)
    return evaluate_logits(logits.values[rows], labels) if rows else None


if __name__ == "__main__":
    run(main)
