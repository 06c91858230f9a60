"""Which frames of a clip a model sees: index maths only.

Every function takes the clip's number of frames T >= 1 and gives indices into 0..T-1; a clip
without frames is a ValueError.
"""

import numpy as np
from numpy.typing import NDArray


def looped(T: int, length: int) -> NDArray[np.int64]:
    """`length` frames from the start of the clip, which begins again when it ends."""
    _check(T, length)
    return np.arange(length, dtype=np.int64) % T


def resampled(T: int, length: int) -> NDArray[np.int64]:
    """`length` frames evenly spread over the clip: the middles of as many equal parts of it."""
    _check(T, length)
    return (2 * np.arange(length, dtype=np.int64) + 1) * T // (2 * length)


def random_window(T: int, length: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`length` consecutive frames, every start equally likely. ValueError if T < length."""
    _check(T, length)
    if length > T:
        raise ValueError(f"a window of {length} frames does not fit in {T} frames")
    start = int(rng.integers(0, T - length + 1))
    return np.arange(start, start + length, dtype=np.int64)


def _check(T: int, length: int) -> None:
    if T < 1:
        raise ValueError("a clip needs at least one frame, found none")
    if length < 1:
        raise ValueError(f"at least one frame must be asked for, found {length}")
