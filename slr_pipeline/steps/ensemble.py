"""Weigh the streams of a track; write its submission and its metrics."""

import argparse
import json
import logging
from collections import Counter
from functools import partial
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
from slr_pipeline.ensemble import Fused, class_prior, fuse
from slr_pipeline.io.logits import read_logits
from slr_pipeline.io.submission import write_submission
from slr_pipeline.io.whole import write_text
from slr_pipeline.samples import SampleTable, labels_digest, load_samples
from slr_pipeline.training.evaluate import evaluate

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
    about = {"protocol": flags.protocol, "seed": flags.seed}
    files: dict[Split, list[str]] = {"val": flags.val, "test": flags.test}
    ensemble(flags.data, flags.track, about, files, flags.out, flags.metrics)


def ensemble(
    data: AutslData | TableData,
    track: TrackSettings,
    about: dict[str, Any],
    files: dict[Split, list[str]],
    out: str,
    metrics: str,
) -> None:
    """Write submission.csv and .zip of test, and metrics.json of val and test."""
    table = load_samples(data)
    known = [sample.label for sample in table.split("train") if sample.label is not None]
    prior = class_prior(known, len(table.classes))
    fused = {split: fuse_split(table, track, split, paths, prior) for split, paths in files.items()}
    test = table.split("test")
    names = [sample.name for sample in test]
    labels = np.argmax(fused["test"].scores, axis=1).tolist()
    content: dict[str, Any] = {
        **{split: labelled_metrics(table, split, found) for split, found in fused.items()},
        "answered_by": {
            split: {str(n): count for n, count in sorted(Counter(found.answers.tolist()).items())}
            for split, found in fused.items()
        },
        "weights": track.streams,
        **about,
        "labels": labels_digest(table, SPLITS),
        **provenance(),
    }
    write_submission(out, list(zip(names, labels, strict=True)), names, len(table.classes))
    write_text(metrics, json.dumps(content, indent=2) + "\n")
    for split in files:
        if content[split] is not None:
            log.info(
                "%s: top-1 %.4f of %d", split, content[split]["top1"], content[split]["samples"]
            )


def fuse_split(
    table: SampleTable,
    track: TrackSettings,
    split: Split,
    paths: list[str],
    prior: NDArray[np.float64],
) -> Fused:
    """Fused scores of a split in table order; `paths` are in the order of the weights."""
    logits = {stream: read_logits(path) for stream, path in zip(track.streams, paths, strict=True)}
    return fuse(logits, track.streams, [sample.name for sample in table.split(split)], prior)


def labelled_metrics(table: SampleTable, split: Split, fused: Fused) -> dict[str, float] | None:
    """Metrics over every labelled row of a split, however it was answered; None without labels."""
    samples = table.split(split)
    rows = [row for row, sample in enumerate(samples) if sample.label is not None]
    labels = [sample.label for sample in samples if sample.label is not None]
    return evaluate(fused.scores[rows].astype(np.float32), labels) if rows else None


if __name__ == "__main__":
    run(main)
