"""Training: one plain loop for every stream.

Deterministic: on one machine with one number of threads, the same arguments and start weights give
the same weights bit for bit, however many workers load the items and however often the run was
stopped and went on. What is random is seeded from (seed, epoch): the order of samples, what is
dropped; and, with the sample's name, the augmentation.
"""

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from slr_pipeline.config.recipes import TrainingSettings
from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.data.loading import batches
from slr_pipeline.errors import DataError, SlrError
from slr_pipeline.scoring.accuracy import evaluate
from slr_pipeline.training import schedules
from slr_pipeline.training.gate import check_above_chance, check_learns
from slr_pipeline.training.numerics import make_fabric, own_randomness, set_random_state
from slr_pipeline.training.predict import predict
from slr_pipeline.training.processes import gathered, largest, of_first, said_once, together
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

    Without an epoch the weights are those of the start, and `epoch` is -1. Of several processes
    each has them; the one of `rank` 0 may keep them.
    """

    state: dict[str, Tensor]
    epoch: int
    history: list[EpochRow]
    rank: int = 0


def fit(
    model: nn.Module,
    train: StreamDataset,
    val: StreamDataset | None,
    *,
    recipe: TrainingSettings,
    seed: int,
    device: torch.device | str = "cpu",
    gpus: int = 1,
    nodes: int = 1,
    workers: int = 0,
    start_epoch: Callable[[int], object] = lambda epoch: None,
    state: TrainingState | None = None,
) -> Fitted:
    """Train `model` in place; the weights of the epoch that is best on `val` are returned.

    Which one is best `recipe.monitor` says; without `val` the last weights are returned, and there
    is no plateau and no end before the last epoch. The samples that do not fill the last batch of
    an epoch are left out of it; fewer samples than `batch_size` are one batch. Weight decay is on
    all parameters, biases and norms too. Where memory does not suffice the micro-batch is halved.

    With several processes each takes an equal share of every batch, and of val; after each step
    all have the same weights. `micro_batch` and batch norm are those of a share.

    Args:
        model: takes the tensors of an item and gives logits (B, K).
        train: samples to learn from.
        val: samples that choose the epoch, or None.
        recipe: all that is not said here.
        seed: of order, dropout and augmentation.
        device: to train on.
        gpus: processes on each machine, with a device each; see `make_fabric`.
        nodes: machines.
        workers: processes that load items, for each that trains; 0: that one does.
        start_epoch: called with the number of each epoch before it, from 0, to change the model.
            A parameter that needs no gradient is not changed, not even by decay or momentum.
        state: where the run is kept at the end of each epoch, and every ten minutes within, so that
            the same call goes on from there; SIGTERM and SIGUSR1 then stop it after a batch.

    Raises DataError without samples or with unlabelled ones; ConfigError for a precision the device
    does not have; Interrupted; SlrError when the loss or a gradient is not finite, when one sample
    is too large for the memory, or when `check_learns` or `check_above_chance` finds that the model
    does not learn.
    """
    fabric = make_fabric(torch.device(device), recipe.precision, gpus=gpus, nodes=nodes)
    if recipe.epochs == 0:
        return Fitted(_weights(model), -1, [], fabric.global_rank)
    with together(fabric):
        _check(train, val, fabric.world_size)
    size = _batch_size(len(train), recipe, fabric.world_size)
    if size < recipe.batch_size and fabric.global_rank == 0:
        log.warning("%d train samples make one batch (batch_size %d)", size, recipe.batch_size)
    signals: AbstractContextManager[list[str]] = nullcontext([])
    if state is not None:
        signals = noted_signals()
    with own_randomness(fabric.device, recipe.deterministic), signals as came:
        run = new_run(fabric, model, recipe, size // fabric.world_size)
        _begin(run, train, state)
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
                with together(fabric):
                    check_above_chance(
                        at.history,
                        samples=len(val.names),
                        chance=scores["chance"],
                        epochs=recipe.chance_epochs,
                    )
            at.epoch, at.step = at.epoch + 1, 0
            _keep(run, state, came, now=True)
    if val is None:
        return Fitted(_weights(run.result), at.epoch - 1, at.history, fabric.global_rank)
    best = schedules.best_epoch(at.history, recipe.monitor)
    return Fitted(at.best, best, at.history, fabric.global_rank)


def _begin(run: Run, train: StreamDataset, state: TrainingState | None) -> None:
    """Go on from the kept state, or see first whether the model learns. The first process looks."""
    saved = None
    with together(run.fabric):
        if run.fabric.global_rank == 0:
            saved = None if state is None else state.load()
            if saved is None:
                check_learns(run.model, train, run.recipe, device=run.fabric.device)
    saved = of_first(run.fabric, saved)
    if saved is not None:
        restore_run(run, saved)
        log.info("goes on in epoch %d after %d batches", run.at.epoch, run.at.step)


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
    rank, world = run.fabric.global_rank, run.fabric.world_size
    order_seed, dropout_seed = np.random.SeedSequence((seed, at.epoch)).generate_state(2).tolist()
    if rank > 0:  # each process drops something else
        dropout_seed = int(np.random.SeedSequence((seed, at.epoch, rank)).generate_state(1)[0])
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(order_seed))
    torch.manual_seed(dropout_seed)
    if at.step == 0:
        at.loss_sum, at.correct, at.count = 0.0, 0, 0
    else:
        set_random_state(run.fabric.device, at.random)
    train.set_epoch(at.epoch)
    run.model.train()
    size = _batch_size(len(train), recipe, world)
    steps = len(train) // size
    ahead = order[at.step * size : steps * size]
    left = batches(
        train,
        batch_size=size // world,
        order=ahead.view(-1, world, size // world)[:, rank].flatten().tolist(),
        workers=workers,
        pin_memory=run.fabric.device.type == "cuda",
    )
    with shown_progress(
        epoch=at.epoch, epochs=recipe.epochs, step=at.step, steps=steps, shown=rank == 0
    ) as advance:
        while at.step < steps:
            take_step(run, left)
            advance()
            yield


def _batch_size(samples: int, recipe: TrainingSettings, world: int) -> int:
    """Samples of a batch: fewer where there are fewer; each process has as many."""
    size = min(recipe.batch_size, samples)
    return size - size % world


def _val_scores(run: Run, val: StreamDataset, *, workers: int) -> dict[str, float]:
    """What `evaluate` says of val, of which each process predicts its share."""
    fabric, N = run.fabric, len(val.names)
    # The last shares begin again at the first samples, so that all are of one length.
    share = [
        number % N
        for number in range(fabric.global_rank, N + -N % fabric.world_size, fabric.world_size)
    ]
    with together(fabric):
        own = predict(
            *(run.result, val),
            batch_size=run.at.micro,
            device=fabric.device,
            workers=workers,
            samples=share,
        )
    logits = np.stack(gathered(fabric, own), axis=1).reshape(-1, own.shape[1])[:N]
    if not np.isfinite(logits).all():
        error = SlrError(
            f"epoch {run.at.epoch}: the logits of val are not finite after training; "
            "lower learning_rate"
        )
        raise said_once(fabric, error)
    return evaluate(logits, val.labels)


def _keep(run: Run, state: TrainingState | None, came: list[str], *, now: bool = False) -> None:
    """Save the run if it is time to; stop it if a signal came to any of its processes."""
    if state is None:
        return
    first = run.fabric.global_rank == 0
    number, due = largest(
        run.fabric, signal.Signals[came[0]] if came else 0, int(first and state.due)
    )
    if now or number or due:
        content = saved_run(run)
        with together(run.fabric):
            if first:
                state.save(content)
    if number:
        error = Interrupted(
            f"stopped by {signal.Signals(number).name} in epoch {run.at.epoch} after "
            f"{run.at.step} batches; the same command goes on from there ({state.folder})"
        )
        raise said_once(run.fabric, error)


def _check(train: StreamDataset, val: StreamDataset | None, processes: int) -> None:
    for split, dataset in (("train", train), ("val", val)):
        if dataset is None:
            continue
        if len(dataset) == 0:
            raise DataError(f"no {split} samples are left to train with; see the quarantine list")
        if -1 in dataset.labels:
            name = dataset.names[dataset.labels.index(-1)]
            raise DataError(f"{name}: no label, but a {split} sample needs one")
    if len(train) < processes:
        raise DataError(f"{len(train)} train samples for {processes} processes; set fewer gpus")


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
