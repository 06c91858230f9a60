"""Logits of one stream."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Logits:
    """Logits (N, K) float32 of N samples.

    `answered` (N,) is False for quarantined samples, which the model does not see; their logits
    are 0. `reads` are the features that imported logits are stated to come from; None: not stated.
    `seeds` (N, S, K) are the logits of several models, which `values` averages; None: one model.
    """

    samples: tuple[str, ...]
    values: NDArray[np.float32]
    answered: NDArray[np.bool_]
    classes: tuple[str, ...]
    protocol: str
    reads: tuple[str, ...] | None = None
    seeds: NDArray[np.float32] | None = None
