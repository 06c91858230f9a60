"""What a run of training is made of, and how it is saved and goes on."""

from dataclasses import dataclass, field
from typing import Any, cast

from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from slr_pipeline.config.recipes import TrainingSettings
from slr_pipeline.training.numerics import random_state
from slr_pipeline.training.processes import gathered


@dataclass
class Position:
    """Where a run stands between two batches; plain values, which are saved as they are."""

    micro: int  # most samples that go through the model of a process at once
    epoch: int = 0
    step: int = 0  # batches of the epoch that are done
    loss_sum: float = 0.0  # over the samples of these batches, as are the next two
    correct: int = 0
    count: int = 0
    random: list[Tensor] = field(default_factory=list)  # states of torch's generators
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)  # weights, on the CPU


@dataclass
class Run:
    """What the steps of a run change."""

    fabric: Fabric
    model: nn.Module
    mean: AveragedModel | None  # running mean of the weights
    optimizer: Optimizer
    recipe: TrainingSettings
    at: Position

    @property
    def result(self) -> nn.Module:
        """The model that val judges."""
        return self.model if self.mean is None else self.mean.module


def new_run(fabric: Fabric, model: nn.Module, recipe: TrainingSettings, share: int) -> Run:
    """A run before its first step, the model on its device; `share`: a process's of a batch."""
    optimizer: Optimizer
    match recipe.optimizer:
        case "sgd":
            optimizer = SGD(
                model.parameters(),
                lr=recipe.learning_rate,
                momentum=recipe.momentum,
                nesterov=recipe.momentum > 0,
            )
        case "adam":
            optimizer = Adam(model.parameters(), lr=recipe.learning_rate)
    fabric.to_device(model)
    optimizer = cast(Optimizer, fabric.setup_optimizers(optimizer))  # one in, one out
    mean = None
    if recipe.ema_decay is not None:
        average = get_ema_multi_avg_fn(recipe.ema_decay)  # type: ignore[no-untyped-call]
        mean = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
    micro = min(recipe.micro_batch or share, share)
    return Run(fabric, model, mean, optimizer, recipe, Position(micro))


def saved_run(run: Run) -> dict[str, Any]:
    """All that the next step depends on, as plain values and tensors. All processes call this."""
    random = gathered(run.fabric, random_state(run.fabric.device))
    return {
        "position": {**vars(run.at), "random": random},
        "model": run.model.state_dict(),
        "mean": None if run.mean is None else run.mean.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "scaler": run.fabric.strategy.precision.state_dict(),
    }


def restore_run(run: Run, saved: dict[str, Any]) -> None:
    """Put a run where it was when `saved_run` gave this."""
    position = saved["position"]
    run.at = Position(**{**position, "random": position["random"][run.fabric.global_rank]})
    run.model.load_state_dict(saved["model"])
    if run.mean is not None:
        run.mean.load_state_dict(saved["mean"])
    run.optimizer.load_state_dict(saved["optimizer"])
    if saved["scaler"]:
        run.fabric.strategy.precision.load_state_dict(saved["scaler"])
