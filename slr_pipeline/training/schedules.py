"""What changes from epoch to epoch: pure functions of the epoch, which counts from 0, and of val.

A run that was interrupted needs no more than its history to go on.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

THRESHOLD = 1e-4
"""Share of a loss by which another one must be lower to count as lower on a plateau."""


def learning_rate(
    epoch: int,
    *,
    base: float,
    warmup_epochs: int,
    milestones: Sequence[int],
    decay: float,
    plateaus: int = 0,
) -> float:
    """Rate of an epoch: a linear rise to `base`, then times `decay` from each milestone on.

    Each of the `plateaus` so far counts as a milestone.
    """
    warmup = min(1.0, (epoch + 1) / warmup_epochs) if warmup_epochs else 1.0
    return base * warmup * decay ** (sum(epoch >= milestone for milestone in milestones) + plateaus)


def plateaus(losses: Sequence[float], patience: int | None) -> int:
    """How often the losses of val stayed for more than `patience` epochs; None: not counted.

    As `ReduceLROnPlateau` of torch has it: a loss counts as lower when it is below the lowest by
    more than a ten-thousandth of it, and after a plateau the epochs are counted afresh.
    """
    if patience is None:
        return 0
    lowest, waited, found = math.inf, 0, 0
    for loss in losses:
        if loss < lowest * (1 - THRESHOLD):
            lowest, waited = loss, 0
        else:
            waited += 1
        if waited > patience:
            found, waited = found + 1, 0
    return found


def best_epoch(
    history: Sequence[Mapping[str, float]], monitor: Literal["val_accuracy", "val_loss"]
) -> int:
    """The epoch with the highest accuracy or the lowest loss on val, one row an epoch.

    Among equals the other one of the two decides, then the earlier epoch.
    """

    def merit(epoch: int) -> tuple[float, float]:
        accuracy, loss = history[epoch]["val_accuracy"], history[epoch]["val_loss"]
        return (accuracy, -loss) if monitor == "val_accuracy" else (-loss, accuracy)

    return max(range(len(history)), key=merit)


def out_of_patience(
    history: Sequence[Mapping[str, float]],
    *,
    monitor: Literal["val_accuracy", "val_loss"],
    patience: int | None,
) -> bool:
    """Whether `patience` epochs have passed since the best one; None: never."""
    if patience is None or not history:
        return False
    return len(history) - 1 - best_epoch(history, monitor) >= patience


def weight_decay(epoch: int, *, base: float, epochs: int | None) -> float:
    """`base`, and 0 once so many epochs have passed; None: always `base`."""
    return base if epochs is None or epoch < epochs else 0.0
