"""Bootstrap intervals of benchmark results."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


def bootstrap_interval(
    values: NDArray[np.floating], statistic: Callable[..., NDArray[np.floating]]
) -> tuple[float, float]:
    """95 % bootstrap interval of a statistic (`np.mean`, `np.median`) of values (n,)."""
    drawn = np.random.default_rng(1).choice(values, (2000, len(values)))
    low, high = np.percentile(statistic(drawn, axis=1), [2.5, 97.5])
    return float(low), float(high)
