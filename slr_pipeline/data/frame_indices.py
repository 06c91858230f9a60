"""Which frames of a clip a model sees: index maths only.

Every function takes the clip's number of frames T >= 1 and gives indices into 0..T-1; a clip
without frames is a ValueError.
"""

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.schema import Fidelity


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


def random_clip(T: int, length: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A training clip: a `random_window` if the video is longer than `length`, else `looped`."""
    return random_window(T, length, rng) if length < T else looped(T, length)


def test_clip(T: int, length: int, view: int, views: int, fidelity: Fidelity) -> NDArray[np.int64]:
    """Clip `view` (from 0) of `views` clips of consecutive frames, evenly spread over the video.

    The first starts with the video, and in `corrected` the last ends with it. A single one is the
    middle. A video of no more than `length` frames is `looped`, so that all its clips are alike.
    ValueError for a view that is not 0 to views - 1.
    """
    _check(T, length)
    if not 0 <= view < views:
        raise ValueError(f"view must be 0 to {views - 1}, found {view}")
    if length >= T:
        return looped(T, length)
    spare = T - length
    if views == 1:
        start = spare // 2
    elif fidelity == "published":
        # PUBLISHED: the step is cut to whole frames, so up to `views` - 2 last frames are not seen.
        start = spare // (views - 1) * view
    else:
        start = round(spare * view / (views - 1))
    return np.arange(start, start + length, dtype=np.int64)


def strided(T: int, length: int, stride: int, fidelity: Fidelity) -> NDArray[np.int64]:
    """`length` frames, each `stride` after the last, from the middle of the video.

    A video too short for them: `corrected` spreads the frames over it (`resampled`), for what
    stands still in the input did not stand still; `published` repeats its last frame.
    """
    _check(T, length)
    if stride < 1:
        raise ValueError(f"stride must be at least 1, found {stride}")
    if fidelity == "published":
        # PUBLISHED: the window is not centred, but starts after a quarter of what `length`
        # consecutive frames would leave over.
        start = max(0, (T - length) // 4)
        index = np.arange(start, start + length * stride, stride, dtype=np.int64)
        last: np.int64 = index[index < T][-1]
        return np.minimum(index, last)
    span = (length - 1) * stride + 1
    if span > T:
        return resampled(T, length)
    return (T - span) // 2 + stride * np.arange(length, dtype=np.int64)


def _check(T: int, length: int) -> None:
    if T < 1:
        raise ValueError("a clip needs at least one frame, found none")
    if length < 1:
        raise ValueError(f"at least one frame must be asked for, found {length}")
