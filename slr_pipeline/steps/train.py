"""Train one stream on train; val picks the epoch."""

import argparse
import csv
import io
import logging
from functools import partial

import torch

from slr_pipeline.cli import provenance, run
from slr_pipeline.config import (
    AutslData,
    Split,
    StreamSettings,
    TableData,
    parse_data,
    parse_section,
)
from slr_pipeline.errors import DataError
from slr_pipeline.io.artifacts import FeatureStore
from slr_pipeline.io.checkpoints import save_model
from slr_pipeline.io.whole import write_text
from slr_pipeline.samples import SampleTable, labels_digest, load_samples
from slr_pipeline.streams import build_dataset, build_model
from slr_pipeline.training.device import choose_device
from slr_pipeline.training.fit import EpochRow, fit

log = logging.getLogger(__name__)


def main() -> None:
    """Parse the flags of the rule and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=parse_data)
    parser.add_argument("--stream", required=True, type=partial(parse_section, StreamSettings))
    parser.add_argument("--protocol", required=True)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--keypoints", required=True, nargs="+")
    parser.add_argument("--out", required=True)
    parser.add_argument("--history", required=True)
    flags = parser.parse_args()
    device = choose_device(flags.device)
    train(
        flags.data,
        flags.stream,
        flags.protocol,
        flags.seed,
        device,
        flags.keypoints,
        flags.out,
        flags.history,
    )


def train(
    data: AutslData | TableData,
    settings: StreamSettings,
    protocol: str,
    seed: int,
    device: torch.device,
    keypoints: list[str],
    out: str,
    history: str,
) -> None:
    """Write the weights of the best epoch with their sidecar, and one CSV row an epoch."""
    table = load_samples(data)
    store = FeatureStore("keypoints", keypoints)
    torch.manual_seed(seed)
    model = build_model(settings, len(table.classes))
    fitted = fit(
        model,
        build_dataset(settings, store, labelled(table, store, "train"), train=True, seed=seed),
        build_dataset(settings, store, labelled(table, store, "val"), train=False, seed=seed),
        recipe=settings.training,
        seed=seed,
        device=device,
    )
    best = fitted.history[fitted.epoch]
    sidecar = {
        "stream": settings.model_dump(),
        "classes": table.classes,
        "protocol": protocol,
        "seed": seed,
        "epoch": fitted.epoch,
        "metrics": {name: value for name, value in best.items() if name != "seconds"},
        "provenance": provenance(labels=labels_digest(table, ("train", "val"))),
    }
    save_model(out, fitted.state, sidecar)
    write_text(history, history_csv(fitted.history))


def labelled(table: SampleTable, store: FeatureStore, split: Split) -> list[tuple[str, int]]:
    """Name and label of the samples of a split that have frames."""
    found = [
        (sample.name, sample.label)
        for sample in table.split(split)
        if sample.label is not None and store.frames(sample.name) > 0
    ]
    if not found:
        raise DataError(f"split {split} has no sample with frames; see results/quarantine.csv")
    log.info("%s: %d of %d samples", split, len(found), len(table.split(split)))
    return found


def history_csv(rows: list[EpochRow]) -> str:
    """The epochs as CSV, without their durations: equal runs give equal bytes."""
    text = io.StringIO()
    names = [name for name in rows[0] if name != "seconds"]
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


if __name__ == "__main__":
    run(main)
