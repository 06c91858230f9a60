"""The one-euro filter: a low-pass filter that lets fast movement through.

Source: Casiez, Roussel and Vogel, 2012 (CHI), "1 euro filter". A place x[t] becomes
y[t] = a x[t] + (1 - a) y[t-1] with a = 1 / (1 + rate / (2 pi cutoff)), and the cutoff rises with
the speed v of the point, filtered likewise: cutoff = min_cutoff + beta |v|.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def smooth(
    keypoints: NDArray[np.float32],
    *,
    fps: float,
    unit_px: float,
    min_cutoff_hz: float,
    beta: float,
    speed_cutoff_hz: float,
) -> NDArray[np.float32]:
    """Keypoints (T, V, 3) with filtered x and y; scores stay as they are.

    A point that is missing (score 0) stays missing, and the filter starts anew behind it: the first
    place after a gap is kept as it was found.

    Args:
        keypoints: x and y in px, score.
        fps: frames per second.
        unit_px: the length that speeds are measured in, such as the longer side of the picture.
        min_cutoff_hz: cutoff at rest; the lower, the smoother.
        beta: how much the cutoff rises with speed, Hz per unit a second; the higher, the less lag.
        speed_cutoff_hz: cutoff of the filter of the speed.
    """
    smoothed = keypoints.copy()
    found = keypoints[..., 2] > 0  # (T, V)
    speed_share = _share(np.float64(speed_cutoff_hz), fps)
    place = np.zeros((keypoints.shape[1], 2))
    speed = np.zeros_like(place)
    for t, points in enumerate(keypoints[..., :2].astype(np.float64)):
        goes_on = (found[t] & found[t - 1])[:, None] if t else np.zeros((len(points), 1), np.bool_)
        now = (points - place) * fps / unit_px
        speed = np.where(goes_on, speed_share * now + (1 - speed_share) * speed, 0.0)
        cutoff = min_cutoff_hz + beta * np.linalg.norm(speed, axis=1, keepdims=True)
        share = np.where(goes_on, _share(cutoff, fps), 1.0)
        place = share * points + (1 - share) * place
        smoothed[t, found[t], :2] = place[found[t]]
    return smoothed


def _share(cutoff_hz: Floats | np.float64, fps: float) -> Floats:
    """The share of the new value in a low-pass filter of this cutoff."""
    return np.asarray(1 / (1 + fps / (2 * np.pi * cutoff_hz)))
