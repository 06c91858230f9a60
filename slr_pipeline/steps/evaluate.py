"""Accuracy of one stream on the splits it was not trained on."""

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
    parser.add_argument("--splits", required=True, nargs="+")
    parser.add_argument("--logits", required=True, nargs="+", help="a file for each split")
    parser.add_argument("--out", required=True)
    flags = parser.parse_args()
    evaluate(flags.data, dict(zip(flags.splits, flags.logits, strict=True)), flags.out)


def evaluate(data: AutslData | TableData, files: dict[str, str], out: str) -> None:
    """Write metrics.json of these splits; one without labels is null."""
    table = load_samples(data)
    logits = {split: read_logits(path) for split, path in files.items()}
    content = {
        **{split: answered_metrics(table, found) for split, found in logits.items()},
        "protocol": next(iter(logits.values())).protocol,
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
