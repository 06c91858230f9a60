"""What changes from epoch to epoch: pure functions of the epoch, which counts from 0."""

from collections.abc import Sequence


def learning_rate(
    epoch: int, *, base: float, warmup_epochs: int, milestones: Sequence[int], decay: float
) -> float:
    """Rate of an epoch: a linear rise to `base`, then times `decay` from each milestone on."""
    warmup = min(1.0, (epoch + 1) / warmup_epochs) if warmup_epochs else 1.0
    return base * warmup * decay ** sum(epoch >= milestone for milestone in milestones)


def keep_probability(epoch: int, *, final: float, epochs: int) -> float:
    """DropGraph's keep probability: falls from 1 to `final` in `epochs` epochs, then stays.

    SAM-SLR: 1 - 0.001 * epoch for 100 epochs, then 0.9.
    """
    return final if epoch >= epochs else 1 - (1 - final) * epoch / epochs
