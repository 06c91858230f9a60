"""PCK: how many keypoints an estimator places correctly."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class KeypointAccuracy:
    """Accuracy of detected keypoints.

    `visible`: number of visible true keypoints; `recall`: share of them that are detected; `pck`:
    share of them detected within the threshold (a missing one is wrong); `median_error`: of the
    detected ones, in units of the scale. NaN if no keypoint counts.
    """

    visible: int
    recall: float
    pck: float
    median_error: float


def keypoint_accuracy(
    detected: NDArray[np.floating],
    truth: NDArray[np.floating],
    scale_px: NDArray[np.floating],
    threshold: float,
) -> KeypointAccuracy:
    """PCK: the percentage of correct keypoints, as a share (Yang and Ramanan, 2013).

    `detected` (T, V, 3): x px, y px, score, with score 0 for missing; `truth` (T, V, 3): x px, y
    px, visible; `scale_px` (T,): the unit of the errors of each frame. A keypoint is correct if its
    error is at most `threshold` units. Hidden keypoints do not count.
    """
    visible = truth[..., 2] > 0
    seen = detected[..., 2] > 0
    distance = np.linalg.norm(
        detected[..., :2].astype(float) - truth[..., :2].astype(float), axis=-1
    )
    error = (distance / scale_px[:, None])[visible]  # (points,)
    seen = seen[visible]
    if not len(error):
        return KeypointAccuracy(0, np.nan, np.nan, np.nan)
    return KeypointAccuracy(
        visible=len(error),
        recall=float(seen.mean()),
        pck=float((seen & (error <= threshold)).mean()),
        median_error=float(np.median(error[seen])) if seen.any() else np.nan,
    )
