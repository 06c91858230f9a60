"""Logits of a stream, as scoring and files of logits share them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Logits:
    """Logits (N, K) float32 of N samples.

    `answered` (N,) is False for samples the model could not see (quarantined); their logits
    are 0.
    """

    samples: tuple[str, ...]
    values: NDArray[np.float32]
    answered: NDArray[np.bool_]
    classes: tuple[str, ...]
    protocol: str
