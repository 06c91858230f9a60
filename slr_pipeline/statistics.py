"""Statistics of results. Pure: arrays in, numbers out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class KeypointAccuracy:
    """How well true keypoints were found.

    `visible`: true keypoints counted; `recall`: share of them that were given at all; `pck`: share
    of them given within the threshold (a missing one is wrong); `median_error`: of those given, in
    units of the scale. Shares of nothing are NaN.
    """

    visible: int
    recall: float
    pck: float
    median_error: float


def keypoint_accuracy(
    found: NDArray[np.floating],
    truth: NDArray[np.floating],
    scale_px: NDArray[np.floating],
    threshold: float,
) -> KeypointAccuracy:
    """PCK: the percentage of correct keypoints, as a share (Yang and Ramanan, 2013).

    `found` (T, V, 3) is x px, y px, score with score 0 for missing; `truth` (T, V, 3) is x px, y
    px, visible; `scale_px` (T,) is the length the error of a frame is measured in. A keypoint is
    correct when it is at most `threshold` lengths away. What the truth calls hidden is not counted.
    """
    visible = truth[..., 2] > 0
    given = found[..., 2] > 0
    distance = np.linalg.norm(found[..., :2].astype(float) - truth[..., :2].astype(float), axis=-1)
    error = (distance / scale_px[:, None])[visible]  # (points,)
    given = given[visible]
    if not len(error):
        return KeypointAccuracy(0, np.nan, np.nan, np.nan)
    return KeypointAccuracy(
        visible=len(error),
        recall=float(given.mean()),
        pck=float((given & (error <= threshold)).mean()),
        median_error=float(np.median(error[given])) if given.any() else np.nan,
    )
