"""Schedules: pure functions of the epoch, which counts from 0, and of the history.

They have no state, so an interrupted run needs only its history to resume.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

THRESHOLD = 1e-4
"""A loss must be lower than the lowest by this share of it to end a plateau."""


def learning_rate(
    epoch: int,
    *,
    base: float,
    warmup_epochs: int,
    milestones: Sequence[int],
    decay: float,
    plateaus: int = 0,
    cosine_epochs: int | None = None,
) -> float:
    """Learning rate of an epoch: linear warm-up to `base`, times `decay` at each milestone.

    Each of the `plateaus` so far counts as a milestone. `cosine_epochs` is the number of epochs in
    which the rate also falls along half a cosine, from `base` after the warm-up to 0 after the
    last one (Loshchilov & Hutter, 2017, eq. 5); None: it does not.
    """
    warmup = min(1.0, (epoch + 1) / warmup_epochs) if warmup_epochs else 1.0
    steps = sum(epoch >= milestone for milestone in milestones) + plateaus
    share = 1.0
    if cosine_epochs is not None and epoch >= warmup_epochs:
        passed = (epoch - warmup_epochs) / (cosine_epochs - warmup_epochs)
        share = (1 + math.cos(math.pi * passed)) / 2
    return base * warmup * share * decay**steps


def plateaus(losses: Sequence[float], patience: int | None) -> int:
    """Number of plateaus: periods of more than `patience` epochs without a lower loss; None: 0.

    Same as torch's `ReduceLROnPlateau`: a loss is lower when it is below the lowest by more than a
    ten-thousandth of it, and counting restarts after a plateau.
    """
    if patience is None:
        return 0
    lowest, waited, count = math.inf, 0, 0
    for loss in losses:
        if loss < lowest * (1 - THRESHOLD):
            lowest, waited = loss, 0
        else:
            waited += 1
        if waited > patience:
            count, waited = count + 1, 0
    return count


def best_epoch(
    history: Sequence[Mapping[str, float]], monitor: Literal["val_accuracy", "val_loss"]
) -> int:
    """The epoch with the highest accuracy or the lowest loss on val.

    Ties are broken by the other of the two, then by the earlier epoch.
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
    """Weight decay of an epoch: `base` for `epochs` epochs, then 0; None: always `base`."""
    return base if epochs is None or epoch < epochs else 0.0
