"""Training: one plain loop, the recipe of SL-GCN (SAM-SLR, Jiang et al., CVPRW 2021).

Deterministic: on one machine with one number of threads, the same arguments and start weights give
the same weights bit for bit, however many workers load the clips. What is random is seeded from
(seed, epoch): the order of clips, dropped joints and frames; and, with the sample's name, the
augmentation.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Optimizer

from slr_pipeline.config import TrainingSettings
from slr_pipeline.data.dataset import SkeletonDataset
from slr_pipeline.data.loading import batches
from slr_pipeline.errors import DataError, SlrError
from slr_pipeline.models.dropgraph import set_keep
from slr_pipeline.models.slgcn import learned_adjacencies
from slr_pipeline.training import schedules
from slr_pipeline.training.evaluate import evaluate
from slr_pipeline.training.predict import predict

log = logging.getLogger(__name__)

EpochRow = dict[str, float]
"""epoch, learning_rate, train_loss, train_accuracy, val_loss, val_accuracy, seconds."""


@dataclass(frozen=True)
class Fitted:
    """Weights (on the CPU) of the best epoch, its number from 0, and a row for every epoch."""

    state: dict[str, Tensor]
    epoch: int
    history: list[EpochRow]


def fit(
    model: nn.Module,
    train: SkeletonDataset,
    val: SkeletonDataset,
    *,
    recipe: TrainingSettings,
    seed: int,
    device: torch.device | str = "cpu",
    workers: int = 0,
) -> Fitted:
    """Train `model` in place; the weights of the epoch with the best val accuracy are returned.

    Among equal accuracies the lower val loss wins, then the earlier epoch. The samples that do not
    fill the last batch of an epoch are left out of it; fewer samples than `batch_size` are one
    batch. Weight decay is on all parameters, biases and norms too. The learned adjacencies stay
    fixed in the first `freeze_graph_epochs` epochs.

    Raises DataError without samples or with unlabelled ones, SlrError when the loss is not finite.
    """
    _check(train, val, recipe.batch_size)
    fabric = _fabric(torch.device(device))
    wrapped, optimizer = fabric.setup(
        model,
        SGD(
            model.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=recipe.momentum > 0,
            weight_decay=recipe.weight_decay,
        ),
    )
    best = (-1.0, 0.0)
    history: list[EpochRow] = []
    with _own_randomness(fabric.device):
        for epoch in range(recipe.epochs):
            started = time.monotonic()
            rate = _start_epoch(model, optimizer, recipe, epoch)
            train_loss, train_accuracy = _train_epoch(
                fabric, wrapped, optimizer, train, recipe, epoch=epoch, seed=seed, workers=workers
            )
            val_loss, val_accuracy = _val_epoch(
                model, val, recipe, epoch=epoch, device=fabric.device, workers=workers
            )
            history.append(
                {
                    "epoch": epoch,
                    "learning_rate": rate,
                    "train_loss": train_loss,
                    "train_accuracy": train_accuracy,
                    "val_loss": val_loss,
                    "val_accuracy": val_accuracy,
                    "seconds": time.monotonic() - started,
                }
            )
            log.info(_line(history[-1]))
            if (val_accuracy, -val_loss) > best:
                best = (val_accuracy, -val_loss)
                best_epoch, state = epoch, _weights(model)
    return Fitted(state=state, epoch=best_epoch, history=history)


def _start_epoch(
    model: nn.Module, optimizer: Optimizer, recipe: TrainingSettings, epoch: int
) -> float:
    """Set the learning rate, which is returned, and the keep probability of an epoch."""
    rate = schedules.learning_rate(
        epoch,
        base=recipe.learning_rate,
        warmup_epochs=recipe.warmup_epochs,
        milestones=recipe.milestones,
        decay=recipe.decay,
    )
    for group in optimizer.param_groups:
        group["lr"] = rate
    keep = schedules.keep_probability(epoch, final=recipe.keep_final, epochs=recipe.keep_epochs)
    set_keep(model, keep)
    return rate


def _train_epoch(
    fabric: Fabric,
    model: nn.Module,
    optimizer: Optimizer,
    train: SkeletonDataset,
    recipe: TrainingSettings,
    *,
    epoch: int,
    seed: int,
    workers: int,
) -> tuple[float, float]:
    """One pass over `train`; mean loss and accuracy of its batches, as trained on."""
    frozen = epoch < recipe.freeze_graph_epochs
    fixed = list(learned_adjacencies(model)) if frozen else []
    order_seed, dropout_seed = np.random.SeedSequence((seed, epoch)).generate_state(2).tolist()
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(order_seed))
    torch.manual_seed(dropout_seed)
    train.set_epoch(epoch)
    model.train()
    loss_sum, correct, count = 0.0, 0, 0
    for skeletons, labels, names in batches(
        train,
        batch_size=min(recipe.batch_size, len(train)),
        order=order.tolist(),
        drop_last=True,
        workers=workers,
        pin_memory=fabric.device.type == "cuda",
    ):
        truth = fabric.to_device(labels)
        logits = model(fabric.to_device(skeletons))
        loss = cross_entropy(logits, truth, label_smoothing=recipe.label_smoothing)
        if not torch.isfinite(loss):
            raise SlrError(
                f"epoch {epoch}: the loss is {loss.item()} for the batch of {', '.join(names)}; "
                "lower learning_rate, or look at the keypoints of these samples"
            )
        optimizer.zero_grad()
        fabric.backward(loss)
        for parameter in fixed:
            parameter.grad = None  # so that weight decay and momentum pass it by, too
        optimizer.step()
        loss_sum += loss.item() * len(names)
        correct += int((logits.argmax(dim=1) == truth).sum())
        count += len(names)
    return loss_sum / count, correct / count


def _val_epoch(
    model: nn.Module,
    val: SkeletonDataset,
    recipe: TrainingSettings,
    *,
    epoch: int,
    device: torch.device,
    workers: int,
) -> tuple[float, float]:
    """Loss and accuracy on `val`."""
    logits = predict(model, val, batch_size=recipe.batch_size, device=device, workers=workers)
    if not np.isfinite(logits).all():
        raise SlrError(
            f"epoch {epoch}: the logits of val are not finite after training; lower learning_rate"
        )
    scores = evaluate(logits, val.labels)
    return scores["loss"], scores["top1"]


def _check(train: SkeletonDataset, val: SkeletonDataset, batch_size: int) -> None:
    for split, dataset in (("train", train), ("val", val)):
        if len(dataset) == 0:
            raise DataError(f"no {split} samples are left to train with; see the quarantine list")
        if -1 in dataset.labels:
            name = dataset.names[dataset.labels.index(-1)]
            raise DataError(f"{name}: no label, but a {split} sample needs one")
    if len(train) < batch_size:
        log.warning("%d train samples make one batch (batch_size %d)", len(train), batch_size)


def _fabric(device: torch.device) -> Fabric:
    """One process on one device."""
    return Fabric(
        accelerator=device.type,
        devices=1 if device.index is None else [device.index],
        # Else Fabric takes the tasks of a SLURM job, where it finds itself in one, for its own.
        plugins=LightningEnvironment(),
    )


@contextmanager
def _own_randomness(device: torch.device) -> Iterator[None]:
    """Seeds set inside do not reach outside; cuDNN picks the same algorithms each time."""
    devices = [device] if device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=devices),
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
    ):
        yield


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def _line(row: EpochRow) -> str:
    return (
        f"epoch {row['epoch']:.0f}: rate {row['learning_rate']:.4g}, "
        f"train loss {row['train_loss']:.4f} accuracy {row['train_accuracy']:.4f}, "
        f"val loss {row['val_loss']:.4f} accuracy {row['val_accuracy']:.4f}, "
        f"{row['seconds']:.1f} s"
    )
