"""Train one stream: phase `train` on train, or phase `finetune` on train and val."""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from slr_pipeline.config.experiment import DataSettings, Split
from slr_pipeline.config.features import HeatmapsSettings
from slr_pipeline.config.recipes import Phase
from slr_pipeline.config.streams import TrainedStream, recipe_of, weights_settings
from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.errors import DataError
from slr_pipeline.io.duplicates import read_duplicates
from slr_pipeline.io.features import open_features
from slr_pipeline.io.foreign.weights import check_sha256
from slr_pipeline.io.models import save_model
from slr_pipeline.io.provenance import provenance
from slr_pipeline.io.quality import read_quality, read_quarantined
from slr_pipeline.io.tables import write_table
from slr_pipeline.io.video import sha256_of
from slr_pipeline.samples.duplicates import twins_elsewhere
from slr_pipeline.samples.shards import labels_digest
from slr_pipeline.samples.splits import signer_folds
from slr_pipeline.samples.table import SampleTable, load_samples
from slr_pipeline.scoring.conditions import Conditions, conditions_of
from slr_pipeline.training.device import choose_device, loading_workers
from slr_pipeline.training.fit import fit
from slr_pipeline.training.start_weights import refuse_fresh, start_from
from slr_pipeline.training.state import TrainingState
from slr_pipeline.training.streams import (
    Stores,
    build_dataset,
    build_model,
    build_val_dataset,
    epoch_starter,
    frame_rate,
)

log = logging.getLogger(__name__)

SPLITS_OF: dict[Phase, tuple[Split, ...]] = {"train": ("train",), "finetune": ("train", "val")}
"""The splits that a phase trains on."""

PROTOCOL_OF: dict[Phase, str] = {"train": "strict", "finetune": "challenge"}
"""The protocol of a phase's logits."""


def train(
    data: DataSettings,
    stream: TrainedStream,
    phase: Phase,
    seed: int,
    features: list[str],
    quality: list[str],
    state: Path,
    out: str,
    history: str,
    device: str = "auto",
    threads: int = 1,
    heatmaps: HeatmapsSettings | None = None,
    init: str | None = None,
    fold: int | None = None,
    folds: int | None = None,
    protocol: str | None = None,
    duplicates: str | None = None,
    seed_number: int = 1,
) -> None:
    """Train a stream; write the weights with their sidecar, and a history with a row per epoch.

    `features` are files, `quality` tables with the samples to leave out; 0 epochs need none.
    `state` is the folder of the state to resume from. `heatmaps` are the settings to draw heat-maps
    from keypoints; None: heat-maps are stored. `init` are start weights; None: random. `fold` is
    the number from 1 of the fold whose signers are left out; None: all of train. `protocol` is that
    of weights that were trained elsewhere; None: that of the phase. `duplicates` is duplicates.csv,
    to leave out copies of samples that the phase does not train on; None: they are used.
    `seed` is that of the experiment, which deals the signers to folds; the training has the
    `seed_number`-th from it.
    """
    stores = open_features(features, read_quarantined(quality))
    chosen = choose_device(device)
    table = load_samples(data)
    held_out = held_out_samples(table, fold, folds, seed) if fold and folds else []
    seed += seed_number - 1
    recipe = recipe_of(stream, phase)
    torch.manual_seed(seed)
    model = start_weights(stream, phase, init, table)
    items = Items()
    if recipe.epochs:
        items = open_items(table, stores, stream, phase, seed, held_out, duplicates, heatmaps)
    inputs = {
        "labels": labels_digest(table, ("train", "val")),
        "features": {name: store.digest() for name, store in stores.items()},
        "init": None if init is None else sha256_of(init),
        **({} if duplicates is None else {"duplicates": sha256_of(duplicates)}),
    }
    about = {
        "stream": stream.model_dump(exclude={"seeds"}),
        "heatmaps": None if heatmaps is None else heatmaps.model_dump(),
        "phase": phase,
        "held_out": held_out,
        "seed": seed,
        "estimator": next((store.estimator for store in stores.values()), {}),
        "provenance": provenance(**inputs),
    }
    weights_of = {**about, "stream": weights_settings(stream, phase)}
    saved_state = TrainingState(state, fingerprint(weights_of, items.samples))
    fitted = fit(
        model,
        items.train,
        items.val,
        recipe=recipe,
        seed=seed,
        device=chosen,
        gpus=stream.gpus,
        nodes=stream.nodes,
        workers=loading_workers(chosen, threads, stream.gpus),
        start_epoch=epoch_starter(stream, recipe, model),
        state=saved_state,
    )
    if fitted.rank > 0:
        return
    best = fitted.history[fitted.epoch] if fitted.history else {}
    sidecar = {
        **about,
        "classes": table.classes,
        "protocol": protocol or PROTOCOL_OF[phase],
        "frame_rate": items.rate,
        "conditions": training_conditions(quality, items.samples),
        "epoch": fitted.epoch,
        "metrics": {name: value for name, value in best.items() if name != "seconds"},
    }
    save_model(out, fitted.state, sidecar)
    # Without their durations: equal runs give equal bytes.
    names = [name for name in best if name != "seconds"] or ["epoch"]
    write_table(history, fitted.history, names)
    saved_state.remove()


@dataclass(frozen=True)
class Items:
    """What a training reads; nothing with 0 epochs. `rate` is the frame rate of its clips."""

    samples: Sequence[tuple[str, int]] = ()
    rate: float | None = None
    train: StreamDataset | None = None
    val: StreamDataset | None = None


def open_items(
    table: SampleTable,
    stores: Stores,
    stream: TrainedStream,
    phase: Phase,
    seed: int,
    held_out: Sequence[str],
    duplicates: str | None,
    heatmaps: HeatmapsSettings | None,
) -> Items:
    """Choose the samples of a training, without held-out ones and copies, and open its items."""
    left_out = {*held_out, *copies(table, SPLITS_OF[phase], held_out, duplicates)}
    samples = labelled(table, stores, SPLITS_OF[phase], left_out)
    check_classes(table, samples, left_out=bool(held_out))
    rate = frame_rate(stream, stores, samples)
    train = build_dataset(
        stream, stores, samples, train=True, seed=seed, rate=rate, heatmaps=heatmaps
    )
    if phase == "finetune":
        return Items(samples, rate, train)
    val_samples = labelled(table, stores, ("val",))
    val = build_val_dataset(stream, stores, val_samples, seed=seed, rate=rate, heatmaps=heatmaps)
    return Items(samples, rate, train, val)


def start_weights(
    settings: TrainedStream, phase: Phase, init: str | Path | None, table: SampleTable
) -> nn.Module:
    """The model of a stream with the weights of `init`, or random ones from torch's generator.

    Raises ArtifactError for weights of another model or digest, DataError when there is no trained
    classifier to fine-tune or to use as it is.
    """
    model = build_model(settings, len(table.classes))
    if init is None:
        return model
    if phase == "train" and settings.init is not None and settings.init.sha256 is not None:
        check_sha256(init, settings.init.sha256)
    fresh = start_from(model, init, classes=table.classes)
    if phase == "finetune" or not settings.training.epochs:
        refuse_fresh(init, fresh)
    return model


def held_out_samples(table: SampleTable, fold: int, folds: int, seed: int) -> list[str]:
    """The samples of train whose signers belong to a fold; the same for all streams of a run."""
    samples = table.split("train")
    labels = [sample.label for sample in samples]
    signers = [sample.signer or "" for sample in samples]
    number = signer_folds(labels, signers, folds=folds, seed=seed)
    return [sample.name for sample, n in zip(samples, number, strict=True) if n == fold]


def copies(
    table: SampleTable, splits: Sequence[Split], held_out: Sequence[str], duplicates: str | None
) -> set[str]:
    """Samples of some splits that are copies of held-out samples or of those of other splits."""
    if duplicates is None:
        return set()
    names = {sample.name for split in splits for sample in table.split(split)}
    found = twins_elsewhere(read_duplicates(duplicates), names - set(held_out))
    log.info("%d samples are left out: they are copies of samples that are predicted", len(found))
    return found


def labelled(
    table: SampleTable, stores: Stores, splits: Sequence[Split], held_out: Collection[str] = ()
) -> list[tuple[str, int]]:
    """(name, label) of the labelled samples of some splits that have frames in every feature.

    Samples in `held_out` are left out. DataError when none remains, or when the features of a
    sample have unequal numbers of frames.
    """
    rows = [
        sample for split in splits for sample in table.split(split) if sample.name not in held_out
    ]
    chosen = [
        (sample.name, sample.label)
        for sample in rows
        if sample.label is not None and common_frames(stores, sample.name) > 0
    ]
    where = " and ".join(splits)
    if not chosen:
        raise DataError(
            f"{where}: no labelled sample has frames; see results/quarantine.csv and "
            "results/quality/"
        )
    log.info("%s: %d of %d samples", where, len(chosen), len(rows))
    return chosen


def common_frames(stores: Stores, name: str) -> int:
    """T of a sample, the same in every feature; else DataError."""
    frames = {feature: store.frames(name) for feature, store in stores.items()}
    if len(set(frames.values())) > 1:
        found = ", ".join(
            f"{T} in {stores[feature].path_of(name)}" for feature, T in frames.items()
        )
        raise DataError(f"{name}: unequal numbers of frames: {found}; delete these and run again")
    return next(iter(frames.values()))


def training_conditions(quality: Sequence[str], samples: Sequence[tuple[str, int]]) -> Conditions:
    """The conditions of a training on (name, label) pairs, from the quality tables with them."""
    names = {name for name, _ in samples}
    rows = [row for path in quality for row in read_quality(path).to_dict("records")]
    return conditions_of(row for row in rows if row["sample"] in names)


def check_classes(
    table: SampleTable, samples: Sequence[tuple[str, int]], *, left_out: bool
) -> None:
    """DataError when a class has no training sample; `left_out`: a fold's signers are left out."""
    count = Counter(label for _, label in samples)
    empty = [f"{label} ({name})" for label, name in enumerate(table.classes) if not count[label]]
    if empty:
        raise DataError(
            f"{len(empty)} of {len(table.classes)} classes have no training sample: "
            f"{', '.join(empty[:10])}{', ...' if len(empty) > 10 else ''}; "
            + (
                "only signers of this fold have them; set folds: null to calibrate on val"
                if left_out
                else "remove them from the class list, or see results/quarantine.csv"
            )
        )


def fingerprint(about: Mapping[str, object], samples: Sequence[tuple[str, int]]) -> str:
    """Digest of a training; a saved state with another one belongs to another training."""
    return hashlib.sha256(json.dumps([about, samples], sort_keys=True).encode()).hexdigest()
