"""Indices of the frames of a clip that a model sees.

Every function takes the clip's number of frames T >= 1 (else ValueError) and returns indices into
0..T-1.
"""

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.schema import Fidelity


def looped(T: int, length: int) -> NDArray[np.int64]:
    """`length` frames from the start of the clip, repeating the clip."""
    _check(T)
    return np.arange(length, dtype=np.int64) % T


def resampled(T: int, length: int, speed: float = 1.0) -> NDArray[np.int64]:
    """`length` frames evenly spread over the clip: the middles of `length` equal parts.

    At a lower `speed` over its middle part; at a higher one the ends are held.
    """
    _check(T)
    if speed == 1:  # exact
        return (2 * np.arange(length, dtype=np.int64) + 1) * T // (2 * length)
    moments = (np.arange(length) + 0.5) / length
    return np.clip((((moments - 0.5) * speed + 0.5) * T).astype(np.int64), 0, T - 1)


def random_window(T: int, length: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`length` consecutive frames, every start equally likely; length <= T."""
    _check(T)
    start = int(rng.integers(0, T - length + 1))
    return np.arange(start, start + length, dtype=np.int64)


def random_clip(T: int, length: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A training clip: a `random_window` of a video longer than `length`, else `looped`."""
    return random_window(T, length, rng) if length < T else looped(T, length)


def test_clip(T: int, length: int, view: int, views: int, fidelity: Fidelity) -> NDArray[np.int64]:
    """Clip `view` (from 0) of `views` clips of consecutive frames, evenly spread over the video.

    The first clip starts with the video and, in `corrected`, the last ends with it. A single clip
    is the middle. A video of at most `length` frames is `looped`, so all its clips are equal.
    """
    _check(T)
    if length >= T:
        return looped(T, length)
    spare = T - length
    if views == 1:
        start = spare // 2
    elif fidelity == "published":
        # PUBLISHED: the step is truncated, so up to `views` - 2 frames at the end are unused.
        start = spare // (views - 1) * view
    else:
        start = round(spare * view / (views - 1))
    return np.arange(start, start + length, dtype=np.int64)


def strided(T: int, length: int, stride: int, fidelity: Fidelity) -> NDArray[np.int64]:
    """Every `stride`-th frame from the middle of the video, `length` in all.

    If the video is too short, `corrected` uses `resampled` frames, because a repeated frame would
    show a movement that stops; `published` repeats the last frame.
    """
    _check(T)
    if fidelity == "published":
        # PUBLISHED: the window is not centred; it starts after a quarter of the frames that
        # `length` consecutive frames would leave.
        start = max(0, (T - length) // 4)
        index = np.arange(start, start + length * stride, stride, dtype=np.int64)
        last: np.int64 = index[index < T][-1]
        return np.minimum(index, last)
    span = (length - 1) * stride + 1
    if span > T:
        return resampled(T, length)
    return (T - span) // 2 + stride * np.arange(length, dtype=np.int64)


def _check(T: int) -> None:
    if T < 1:
        raise ValueError("a clip needs at least one frame, found none")
