"""The one-euro filter: a low-pass filter that lets fast movement through.

Source: Casiez, Roussel and Vogel, 2012 (CHI), "1 euro filter". A position x[t] becomes
y[t] = a x[t] + (1 - a) y[t-1] with a = 1 / (1 + rate / (2 pi cutoff)). The cutoff rises with the
speed v of the point, which is filtered likewise: cutoff = min_cutoff + beta |v|.
"""

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.features.arrays import Floats


def smooth(
    keypoints: NDArray[np.float32],
    *,
    fps: float,
    unit_px: float,
    min_cutoff_hz: float,
    beta: float,
    speed_cutoff_hz: float,
) -> NDArray[np.float32]:
    """Keypoints (T, V, 3) with filtered x and y; scores are unchanged.

    A missing point (score 0) stays missing and restarts the filter: the first position after a gap
    is unchanged. `unit_px` is the unit of speeds, such as the longer side of the picture. A lower
    `min_cutoff_hz`, the cutoff at rest, is smoother; a higher `beta`, in Hz per unit a second, has
    less lag; `speed_cutoff_hz` is the cutoff of the speed filter.
    """
    smoothed = keypoints.copy()
    seen = keypoints[..., 2] > 0  # (T, V)
    speed_weight = _weight(np.float64(speed_cutoff_hz), fps)
    position = np.zeros((keypoints.shape[1], 2))
    speed = np.zeros_like(position)
    for t, points in enumerate(keypoints[..., :2].astype(np.float64)):
        continues = (seen[t] & seen[t - 1])[:, None] if t else np.zeros((len(points), 1), np.bool_)
        now = (points - position) * fps / unit_px
        speed = np.where(continues, speed_weight * now + (1 - speed_weight) * speed, 0.0)
        cutoff = min_cutoff_hz + beta * np.linalg.norm(speed, axis=1, keepdims=True)
        weight = np.where(continues, _weight(cutoff, fps), 1.0)
        position = weight * points + (1 - weight) * position
        smoothed[t, seen[t], :2] = position[seen[t]]
    return smoothed


def _weight(cutoff_hz: Floats | np.float64, fps: float) -> Floats:
    """Weight of the new value in a low-pass filter of this cutoff."""
    return np.asarray(1 / (1 + fps / (2 * np.pi * cutoff_hz)))
