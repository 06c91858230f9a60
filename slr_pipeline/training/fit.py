"""Training: one plain loop for every stream.

Deterministic on the CPU: on one machine with one number of threads, the same arguments and start
weights give the same weights bit for bit, for any number of loading workers and however often one
process was stopped and resumed. On a GPU this holds with `deterministic` where torch has
deterministic algorithms. All random numbers come from (seed, epoch): the order of samples, mixup
and dropout; with the sample's name also the augmentation.
"""

import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed, nn

from slr_pipeline.config.recipes import TrainingSettings
from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.data.loading import Loader
from slr_pipeline.errors import DataError, SlrError
from slr_pipeline.io.progress import terminal_bars
from slr_pipeline.scoring.accuracy import evaluate
from slr_pipeline.training import schedules
from slr_pipeline.training.gate import check_above_chance, check_learns
from slr_pipeline.training.memory import open_loader
from slr_pipeline.training.numerics import own_numerics, set_random_state
from slr_pipeline.training.predict import predict
from slr_pipeline.training.processes import ends_with_the_others, make_fabric
from slr_pipeline.training.run import Progress, TrainingRun, new_run, restore_run, saved_run
from slr_pipeline.training.state import Interrupted, TrainingState, record_signals
from slr_pipeline.training.step import INTERVAL, check_steps, take_step

log = logging.getLogger(__name__)

EpochRow = dict[str, float]
"""epoch, learning_rate, train_loss, train_accuracy, seconds; with val also val_loss, val_accuracy.
"""


@dataclass(frozen=True)
class Fitted:
    """The result of a training: weights on the CPU, their epoch, and a row for every epoch.

    `epoch` counts from 0; -1: the start weights. Keep the result of `rank` 0.
    """

    state: dict[str, Tensor]
    epoch: int
    history: list[EpochRow]
    rank: int = 0


def fit(
    model: nn.Module,
    train: StreamDataset | None,
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
    """Train `model` in place; returns the weights of the epoch that is best on `val`.

    `recipe.monitor` decides which epoch is best. Without `val` the last weights are returned, and
    plateaus and `patience` have no effect. Samples that do not fill the last batch of an epoch are
    left out of it; fewer samples than `batch_size` are one batch. Weight decay is on all
    parameters, including biases and norms. Out of memory, one process halves the micro-batch.

    With several processes each takes an equal share of every batch and of val; `micro_batch` and
    the statistics of batch norm are those of a share, see `processes`. After a resume their
    dropout and mixup differ from those of an undisturbed run.

    Args:
        model: takes the tensors that `prepare` of the data set makes and returns logits (B, K).
        train: samples to learn from; None only with 0 epochs.
        val: samples that choose the epoch, or None.
        recipe: the other settings.
        seed: of order, dropout, mixup and augmentation.
        device: to train on; for `gpus` and `nodes` see `make_fabric`.
        workers: processes that load items, for each training process; 0: it loads them itself.
        start_epoch: called with the number of each epoch before it, from 0, to change the model.
            A parameter without `requires_grad` stays fixed: neither weight decay nor momentum
            changes it.
        state: where the run is saved every ten minutes and at the end of epochs, of short ones not
            each time, so that the same call resumes there; SIGTERM and SIGUSR1 then stop it after a
            batch, on a GPU after at most ten.

    Raises DataError without samples or with unlabelled ones; ConfigError for a precision the device
    does not have; Interrupted; SlrError when the loss or a gradient is not finite, when one sample
    does not fit in memory, or when `check_learns` or `check_above_chance` finds that the model
    does not learn.
    """
    fabric = make_fabric(torch.device(device), recipe.precision, gpus=gpus, nodes=nodes)
    if recipe.epochs == 0:
        return Fitted(_weights(model), -1, [], fabric.global_rank)
    assert train is not None
    _check_samples(train, val, fabric.world_size)
    size = _batch_size(train, recipe, fabric)
    if size < recipe.batch_size and fabric.is_global_zero:
        log.warning("%d train samples make one batch (batch_size %d)", size, recipe.batch_size)
    signals: AbstractContextManager[list[str]] = nullcontext([])
    if state is not None:
        signals = record_signals()
    with (
        ends_with_the_others(fabric),
        own_numerics(fabric.device, recipe),
        signals as received,
        open_loader(
            model,
            [train] if val is None else [train, val],
            batch_size=size // fabric.world_size,
            workers=workers,
            device=fabric.device,
            processes=gpus,
        ) as loader,
    ):
        run = new_run(fabric, model, recipe, size // fabric.world_size, train.prepare)
        _resume_or_check(run, train, state)
        if recipe.compile:
            model.compile()
        progress = run.progress
        while not _is_done(progress, val, recipe):
            started = time.monotonic()
            rate = _set_rates(run, val)
            start_epoch(progress.epoch)
            for _ in _train_epoch(run, train, loader, seed=seed):
                _save_or_stop(run, state, received)
            row: EpochRow = {
                "epoch": progress.epoch,
                "learning_rate": rate,
                "train_loss": progress.loss_sum / progress.count,
                "train_accuracy": progress.correct / progress.count,
            }
            if val is not None:
                scores = _val_scores(run, val, loader)
                row |= {"val_loss": scores["loss"], "val_accuracy": scores["top1"]}
            progress.history.append(row | {"seconds": time.monotonic() - started})
            log.info(_line(progress.history[-1]))
            if val is not None:
                _judge_epoch(run, samples=len(val.names), chance=scores["chance"])
            progress.epoch, progress.step = progress.epoch + 1, 0
            _save_or_stop(run, state, received, epoch_ends=True)
    if val is None:
        return Fitted(
            _weights(run.result), progress.epoch - 1, progress.history, fabric.global_rank
        )
    best = schedules.best_epoch(progress.history, recipe.monitor)
    return Fitted(progress.best, best, progress.history, fabric.global_rank)


def _resume_or_check(run: TrainingRun, train: StreamDataset, state: TrainingState | None) -> None:
    """Restore the saved state; without one check that the model can learn. Rank 0 decides."""
    saved = None
    if run.fabric.is_global_zero:
        saved = None if state is None else state.load()
        if saved is None:
            check_learns(run.model, train, run.recipe, device=run.fabric.device)
    saved = run.fabric.broadcast(saved)
    if saved is not None:
        restore_run(run, saved)
        log.info("resumes in epoch %d after %d batches", run.progress.epoch, run.progress.step)


def _is_done(progress: Progress, val: StreamDataset | None, recipe: TrainingSettings) -> bool:
    patience = None if val is None else recipe.patience
    return progress.epoch >= recipe.epochs or schedules.out_of_patience(
        progress.history, monitor=recipe.monitor, patience=patience
    )


def _set_rates(run: TrainingRun, val: StreamDataset | None) -> float:
    """Set weight decay and learning rate of the epoch; returns the learning rate."""
    epoch, recipe = run.progress.epoch, run.recipe
    losses = [] if val is None else [row["val_loss"] for row in run.progress.history]
    rate = schedules.learning_rate(
        epoch,
        base=recipe.learning_rate,
        warmup_epochs=recipe.warmup_epochs,
        milestones=recipe.milestones,
        decay=recipe.decay,
        plateaus=schedules.plateaus(losses, recipe.plateau_patience),
        cosine_epochs=recipe.epochs if recipe.schedule == "cosine" else None,
    )
    for group in run.optimizer.param_groups:
        group["lr"] = rate
        group["weight_decay"] = schedules.weight_decay(
            epoch, base=recipe.weight_decay, epochs=recipe.weight_decay_epochs
        )
    return rate


def _train_epoch(
    run: TrainingRun, train: StreamDataset, loader: Loader, *, seed: int
) -> Iterator[None]:
    """The remaining steps of an epoch; yields whenever all steps are checked."""
    progress, fabric = run.progress, run.fabric
    epoch, rank, world = progress.epoch, fabric.global_rank, fabric.world_size
    order_seed, dropout_seed = np.random.SeedSequence((seed, epoch)).generate_state(2).tolist()
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(order_seed)).tolist()
    torch.manual_seed(dropout_seed)
    if progress.step == 0:
        progress.loss_sum, progress.correct, progress.count = 0.0, 0, 0
    else:
        set_random_state(fabric.device, progress.random)
    if rank > 0:  # each process drops other activations and mixes by other shares
        rank_seed = np.random.SeedSequence((seed, epoch, rank, progress.step))
        torch.manual_seed(int(rank_seed.generate_state(1)[0]))
    train.set_epoch(epoch)
    run.model.train()
    # Wrapped in each epoch: DDP does not notice parameters that `start_epoch` freezes or frees.
    wrapped = fabric.setup_module(run.model)
    size = _batch_size(train, run.recipe, fabric)
    steps = len(train) // size
    shares = loader.batches(
        train,
        batch_size=size // world,
        order=order[progress.step * size : steps * size][rank::world],
    )
    with _epoch_bars(run, steps) as advance:
        while progress.step < steps:
            take_step(run, wrapped, shares)
            advance()
            if progress.step == steps or progress.step % INTERVAL[fabric.device.type] == 0:
                check_steps(run)
                yield


@contextmanager
def _epoch_bars(run: TrainingRun, steps: int) -> Iterator[Callable[[], None]]:
    """Yield a function to call after each of the `steps` batches of an epoch.

    On a terminal it moves a bar of the epoch and one of the run; elsewhere it shows nothing.
    """
    if not (run.fabric.is_global_zero and sys.stderr.isatty()):
        yield lambda: None
        return
    epoch, epochs, step = run.progress.epoch, run.recipe.epochs, run.progress.step
    with terminal_bars("batches") as bars:
        bars.add_task(f"epoch {epoch}", total=steps, completed=step)
        bars.add_task("run", total=epochs * steps, completed=epoch * steps + step)

        def advance() -> None:
            for task in bars.task_ids:
                bars.advance(task)

        yield advance


def _batch_size(train: StreamDataset, recipe: TrainingSettings, fabric: Fabric) -> int:
    """Samples of a batch: at most as many as there are, the same number for each process."""
    size = min(recipe.batch_size, len(train))
    return size - size % fabric.world_size


def _val_scores(run: TrainingRun, val: StreamDataset, loader: Loader) -> dict[str, float]:
    """Scores of `evaluate` on val; each process predicts a share of it."""
    fabric, N = run.fabric, len(val.names)
    rank, world = fabric.global_rank, fabric.world_size
    if world > 1:  # batch norm of each process has seen other samples
        for buffer in run.result.buffers():
            distributed.broadcast(buffer, 0)
    with fabric.autocast():
        logits = predict(
            run.result,
            val,
            batch_size=max(1, run.recipe.batch_size // world),
            device=fabric.device,
            loader=loader,
            # The last shares start again at the first samples, so that all have the same length.
            samples=[number % N for number in range(rank, N + -N % world, world)],
        )
    K = logits.shape[1]
    gathered = fabric.all_gather(torch.from_numpy(logits))
    assert isinstance(gathered, Tensor)
    logits = gathered.cpu().view(world, -1, K).transpose(0, 1).reshape(-1, K)[:N].numpy()
    if not np.isfinite(logits).all():
        raise SlrError(
            f"epoch {run.progress.epoch}: the logits of val are not finite after training; "
            "lower learning_rate"
        )
    return evaluate(logits, val.labels)


def _judge_epoch(run: TrainingRun, *, samples: int, chance: float) -> None:
    """Keep the weights of the best epoch; SlrError if no epoch is better than guessing."""
    history, recipe = run.progress.history, run.recipe
    if schedules.best_epoch(history, recipe.monitor) == run.progress.epoch:
        run.progress.best = _weights(run.result)
    check_above_chance(history, samples=samples, chance=chance, epochs=recipe.chance_epochs)


def _save_or_stop(
    run: TrainingRun, state: TrainingState | None, received: list[str], *, epoch_ends: bool = False
) -> None:
    """Save the run when that is due or asked for; stop it if any process received a signal."""
    if state is None:
        return
    fabric = run.fabric
    number = signal.Signals[received[0]].value if received else 0
    if fabric.world_size > 1:  # one process need not wait for its GPU after every step
        reduced = fabric.all_reduce(torch.tensor(number, device=fabric.device), reduce_op="max")
        assert isinstance(reduced, Tensor)
        number = int(reduced)
    if fabric.is_global_zero and (number or state.due(epoch_ends=epoch_ends)):
        state.save(saved_run(run))
    if number and fabric.global_rank > 0:
        raise SystemExit(0)  # rank 0 says why
    if number:
        raise Interrupted(
            f"stopped by {signal.Signals(number).name} in epoch {run.progress.epoch} after "
            f"{run.progress.step} batches; the same command resumes there ({state.folder})"
        )


def _check_samples(train: StreamDataset, val: StreamDataset | None, processes: int) -> None:
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
