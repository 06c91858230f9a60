"""What changes while a stream is trained, and how it is saved and restored."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from slr_pipeline.config.recipes import TrainingSettings
from slr_pipeline.data.dataset import Prepare
from slr_pipeline.training.numerics import random_state


@dataclass
class Progress:
    """How far a training is; plain values, which are saved unchanged."""

    micro_batch: int  # most samples that go through the model of a process at once
    epoch: int = 0
    step: int = 0  # finished batches of the epoch
    loss_sum: float = 0.0  # over the samples of these batches, like `correct` and `count`
    correct: int = 0
    count: int = 0
    random: list[Tensor] = field(default_factory=list)  # states of torch's generators, of rank 0
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)  # weights, on the CPU


@dataclass
class TrainingRun:
    """The parts of a training; `average` is the running mean of the model's weights, if any.

    `prepare` makes the model's inputs from those of a batch. `unchecked` has, of each step that
    `check_steps` has not seen: the samples, summed loss and right answers (2,), and the norm of the
    gradients, both on the device.
    """

    fabric: Fabric
    model: nn.Module
    average: AveragedModel | None
    optimizer: Optimizer
    recipe: TrainingSettings
    progress: Progress
    prepare: Prepare
    unchecked: list[tuple[Sequence[str], Tensor, Tensor]] = field(default_factory=list)

    @property
    def result(self) -> nn.Module:
        """The model that is evaluated on val and returned."""
        return self.model if self.average is None else self.average.module


def new_run(
    fabric: Fabric, model: nn.Module, recipe: TrainingSettings, share: int, prepare: Prepare
) -> TrainingRun:
    """A run before its first step, the model on its device.

    `share` is the number of samples of a batch that a process takes; `prepare` is that of the data
    set.
    """
    optimizer: Optimizer
    match recipe.optimizer:
        case "sgd":
            optimizer = SGD(
                model.parameters(),
                lr=recipe.learning_rate,
                momentum=recipe.momentum,
                nesterov=recipe.momentum > 0,
                # Not fused: that fails for parameters which `start_epoch` frees later.
            )
        case "adam" | "adamw":
            fused = fabric.strategy.precision.precision != "16-mixed"  # its scaler could not clip
            kind = Adam if recipe.optimizer == "adam" else AdamW
            optimizer = kind(model.parameters(), lr=recipe.learning_rate, fused=fused)
    fabric.to_device(model)
    optimizer = cast(Optimizer, fabric.setup_optimizers(optimizer))  # one in, one out
    average = None
    if recipe.ema_decay is not None:
        average_fn = get_ema_multi_avg_fn(recipe.ema_decay)  # type: ignore[no-untyped-call]
        average = AveragedModel(model, multi_avg_fn=average_fn, use_buffers=True)
    progress = Progress(min(recipe.micro_batch or share, share))
    return TrainingRun(fabric, model, average, optimizer, recipe, progress, prepare)


def saved_run(run: TrainingRun) -> dict[str, Any]:
    """Everything the next step depends on, as plain values and tensors."""
    return {
        "progress": {**vars(run.progress), "random": random_state(run.fabric.device)},
        "model": run.model.state_dict(),
        "average": None if run.average is None else run.average.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "scaler": run.fabric.strategy.precision.state_dict(),
    }


def restore_run(run: TrainingRun, saved: dict[str, Any]) -> None:
    """Put a new run into the state that `saved_run` gave."""
    run.progress = Progress(**saved["progress"])
    run.model.load_state_dict(saved["model"])
    if run.average is not None:
        run.average.load_state_dict(saved["average"])
    run.optimizer.load_state_dict(saved["optimizer"])
    if saved["scaler"]:
        run.fabric.strategy.precision.load_state_dict(saved["scaler"])
