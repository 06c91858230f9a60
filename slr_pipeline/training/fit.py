"""Training: one plain loop for every stream.

Deterministic: on one machine with one number of threads, the same arguments and start weights give
the same weights bit for bit, however many workers load the items and however often the run was
stopped and went on. What is random is seeded from (seed, epoch): the order of samples, what is
dropped; and, with the sample's name, the augmentation.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.data.loading import batches
from slr_pipeline.errors import DataError, SlrError
from slr_pipeline.stream_settings import TrainingSettings
from slr_pipeline.training import schedules
from slr_pipeline.training.evaluate import evaluate
from slr_pipeline.training.gate import check_above_chance, check_learns
from slr_pipeline.training.numerics import one_device, own_randomness, set_random_state
from slr_pipeline.training.predict import predict
from slr_pipeline.training.progress import shown_progress
from slr_pipeline.training.run import Position, Run, new_run, restore_run, saved_run
from slr_pipeline.training.state import Interrupted, TrainingState, noted_signals
from slr_pipeline.training.step import take_step

log = logging.getLogger(__name__)

EpochRow = dict[str, float]
"""epoch, learning_rate, train_loss, train_accuracy, seconds; with val also val_loss, val_accuracy.
"""


@dataclass(frozen=True)
class Fitted:
    """Weights (on the CPU), the number of their epoch from 0, and a row for every epoch.

    Without an epoch the weights are those of the start, and `epoch` is -1.
    """

    state: dict[str, Tensor]
    epoch: int
    history: list[EpochRow]


def fit(
    model: nn.Module,
    train: StreamDataset,
    val: StreamDataset | None,
    *,
    recipe: TrainingSettings,
    seed: int,
    device: torch.device | str = "cpu",
    workers: int = 0,
    start_epoch: Callable[[int], object] = lambda epoch: None,
    state: TrainingState | None = None,
) -> Fitted:
    """Train `model` in place; the weights of the epoch that is best on `val` are returned.

    Which one is best `recipe.monitor` says; without `val` the last weights are returned, and there
    is no plateau and no end before the last epoch. The samples that do not fill the last batch of
    an epoch are left out of it; fewer samples than `batch_size` are one batch. Weight decay is on
    all parameters, biases and norms too. Where memory does not suffice the micro-batch is halved.

    Args:
        model: takes the tensors of an item and gives logits (B, K).
        train: samples to learn from.
        val: samples that choose the epoch, or None.
        recipe: all that is not said here.
        seed: of order, dropout and augmentation.
        device: to train on.
        workers: processes that load items; 0: this one does.
        start_epoch: called with the number of each epoch before it, from 0, to change the model.
            A parameter that needs no gradient is not changed, not even by decay or momentum.
        state: where the run is kept at the end of each epoch, and every ten minutes within, so that
            the same call goes on from there; SIGTERM and SIGUSR1 then stop it after a batch.

    Raises DataError without samples or with unlabelled ones; ConfigError for a precision the device
    does not have; Interrupted; SlrError when the loss or a gradient is not finite, when one sample
    is too large for the memory, or when `check_learns` or `check_above_chance` finds that the model
    does not learn.
    """
    if recipe.epochs == 0:
        return Fitted(_weights(model), epoch=-1, history=[])
    _check(train, val, recipe.batch_size)
    fabric = one_device(torch.device(device), recipe.precision)
    signals: AbstractContextManager[list[str]] = nullcontext([])
    if state is not None:
        signals = noted_signals()
    with own_randomness(fabric.device, recipe.deterministic), signals as came:
        run = new_run(fabric, model, recipe, min(recipe.batch_size, len(train)))
        saved = None if state is None else state.load()
        if saved is None:
            check_learns(model, train, recipe, device=fabric.device)
        else:
            restore_run(run, saved)
            log.info("goes on in epoch %d after %d batches", run.at.epoch, run.at.step)
        at = run.at
        while not _is_done(at, val, recipe):
            started = time.monotonic()
            rate = _set_rates(run, val)
            start_epoch(at.epoch)
            for _ in _train_epoch(run, train, seed=seed, workers=workers):
                _keep(run, state, came)
            row: EpochRow = {
                "epoch": at.epoch,
                "learning_rate": rate,
                "train_loss": at.loss_sum / at.count,
                "train_accuracy": at.correct / at.count,
            }
            if val is not None:
                scores = _val_scores(run, val, workers=workers)
                row |= {"val_loss": scores["loss"], "val_accuracy": scores["top1"]}
            at.history.append(row | {"seconds": time.monotonic() - started})
            log.info(_line(at.history[-1]))
            if val is not None:
                if schedules.best_epoch(at.history, recipe.monitor) == at.epoch:
                    at.best = _weights(run.result)
                check_above_chance(
                    at.history,
                    samples=len(val.names),
                    chance=scores["chance"],
                    epochs=recipe.chance_epochs,
                )
            at.epoch, at.step = at.epoch + 1, 0
            _keep(run, state, came, now=True)
    if val is None:
        return Fitted(_weights(run.result), at.epoch - 1, at.history)
    return Fitted(at.best, schedules.best_epoch(at.history, recipe.monitor), at.history)


def _is_done(at: Position, val: StreamDataset | None, recipe: TrainingSettings) -> bool:
    patience = None if val is None else recipe.patience
    return at.epoch >= recipe.epochs or schedules.out_of_patience(
        at.history, monitor=recipe.monitor, patience=patience
    )


def _set_rates(run: Run, val: StreamDataset | None) -> float:
    """Set the weight decay and the learning rate of the epoch; the latter is returned."""
    epoch, recipe = run.at.epoch, run.recipe
    losses = [] if val is None else [row["val_loss"] for row in run.at.history]
    rate = schedules.learning_rate(
        epoch,
        base=recipe.learning_rate,
        warmup_epochs=recipe.warmup_epochs,
        milestones=recipe.milestones,
        decay=recipe.decay,
        plateaus=schedules.plateaus(losses, recipe.plateau_patience),
    )
    for group in run.optimizer.param_groups:
        group["lr"] = rate
        group["weight_decay"] = schedules.weight_decay(
            epoch, base=recipe.weight_decay, epochs=recipe.weight_decay_epochs
        )
    return rate


def _train_epoch(run: Run, train: StreamDataset, *, seed: int, workers: int) -> Iterator[None]:
    """What is left of a pass over `train`; yields after each step."""
    at, recipe = run.at, run.recipe
    order_seed, dropout_seed = np.random.SeedSequence((seed, at.epoch)).generate_state(2).tolist()
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(order_seed))
    torch.manual_seed(dropout_seed)
    if at.step == 0:
        at.loss_sum, at.correct, at.count = 0.0, 0, 0
    else:
        set_random_state(run.fabric.device, at.random)
    train.set_epoch(at.epoch)
    run.model.train()
    size = min(recipe.batch_size, len(train))
    left = batches(
        train,
        batch_size=size,
        order=order[at.step * size :].tolist(),
        drop_last=True,
        workers=workers,
        pin_memory=run.fabric.device.type == "cuda",
    )
    with shown_progress(
        epoch=at.epoch, epochs=recipe.epochs, step=at.step, steps=len(train) // size
    ) as advance:
        for inputs, labels, names in left:
            take_step(run, inputs, labels, names)
            advance()
            yield


def _val_scores(run: Run, val: StreamDataset, *, workers: int) -> dict[str, float]:
    """What `evaluate` says of val."""
    logits = predict(
        run.result, val, batch_size=run.at.micro, device=run.fabric.device, workers=workers
    )
    if not np.isfinite(logits).all():
        raise SlrError(
            f"epoch {run.at.epoch}: the logits of val are not finite after training; "
            "lower learning_rate"
        )
    return evaluate(logits, val.labels)


def _keep(run: Run, state: TrainingState | None, came: list[str], *, now: bool = False) -> None:
    """Save the run if it is time to; stop it if a signal came."""
    if state is None:
        return
    if now or came or state.due:
        state.save(saved_run(run))
    if came:
        raise Interrupted(
            f"stopped by {came[0]} in epoch {run.at.epoch} after {run.at.step} batches; "
            f"the same command goes on from there ({state.folder})"
        )


def _check(train: StreamDataset, val: StreamDataset | None, batch_size: int) -> None:
    for split, dataset in (("train", train), ("val", val)):
        if dataset is None:
            continue
        if len(dataset) == 0:
            raise DataError(f"no {split} samples are left to train with; see the quarantine list")
        if -1 in dataset.labels:
            name = dataset.names[dataset.labels.index(-1)]
            raise DataError(f"{name}: no label, but a {split} sample needs one")
    if len(train) < batch_size:
        log.warning("%d train samples make one batch (batch_size %d)", len(train), batch_size)


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def _line(row: EpochRow) -> str:
    val = ""
    if "val_loss" in row:
        val = f"val loss {row['val_loss']:.4f} accuracy {row['val_accuracy']:.4f}, "
    return (
        f"epoch {row['epoch']:.0f}: rate {row['learning_rate']:.4g}, "
        f"train loss {row['train_loss']:.4f} accuracy {row['train_accuracy']:.4f}, "
        f"{val}{row['seconds']:.1f} s"
    )
