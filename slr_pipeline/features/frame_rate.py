"""Clips by time instead of frame numbers: which frames show a clip at another frame rate."""

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.features.arrays import Floats, Indices, Keypoints

USUAL_FPS = 30.0
"""Features of fast video are made at about this rate, those of a variable rate at this rate."""

PHASE = 0.45
"""Moment of a new frame whose picture is taken, in frames. Before the middle: where the old rate is
an even multiple of the new one, a picture changes right in the middle."""

SAME_RATE = 0.02
"""Relative difference up to which two rates are the same, such as 30 and 29.97."""


def feature_rate(fps: float, *, variable: bool = False) -> float:
    """Frame rate of the features of a video: fast video keeps every second, third, ... frame."""
    return USUAL_FPS if variable else fps / max(1, round(fps / USUAL_FPS))


def shown_frames(times: Floats, length: float) -> Indices:
    """Frames (T,) of a clip that are on screen at T moments, maybe with repeats.

    `times` are those of its frames from the first, ascending, and `length` is that of the clip;
    both in units of the time between two moments.
    """
    moments = np.arange(max(1, round(length))) + PHASE
    return np.asarray(np.maximum(np.searchsorted(times, moments, side="right") - 1, 0), np.int64)


def rate_ratio(fps: float, rate: float | None) -> float:
    """Frames of a clip per frame at another rate; 1 where the rates are the same or unknown (0)."""
    ratio = fps / rate if rate and fps else 1.0
    return 1.0 if abs(ratio - 1) <= SAME_RATE else ratio


def at_ratio(frames: int, ratio: float) -> Indices:
    """Frames (T,) that show a clip of constant rate at the rate that `ratio` is for."""
    return shown_frames(np.arange(frames) / ratio, frames / ratio)


def keypoints_at_ratio(keypoints: Keypoints, ratio: float) -> NDArray[np.float32]:
    """Keypoints (T, V, 3) of a clip of constant rate at the rate that `ratio` is for.

    A point is interpolated linearly between the two frames around its moment if both have it, else
    it is that of the frame on screen.
    """
    if ratio == 1:
        return np.asarray(keypoints, np.float32)
    shown = keypoints[at_ratio(len(keypoints), ratio)]
    moment = np.minimum(np.arange(len(shown)) * ratio, len(keypoints) - 1)
    before = moment.astype(np.int64)
    first, second = keypoints[before], keypoints[np.minimum(before + 1, len(keypoints) - 1)]
    weight = (moment - before)[:, None, None]
    both = (first[..., 2:] > 0) & (second[..., 2:] > 0)
    return np.where(both, (1 - weight) * first + weight * second, shown).astype(np.float32)
