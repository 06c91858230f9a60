"""Which keypoints are relied on, and which frame stands in for one that lacks a keypoint."""

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]

CONFIDENT = 0.3
"""Least score of a keypoint that a box is made from in `corrected`: below it estimators guess."""


def nearest_seen(seen: Flags) -> NDArray[np.int64]:
    """For each flag (T, V) the nearest row of its column whose flag is set, ties to the earlier.

    A column without any set flag points to its own rows.
    """
    T = len(seen)
    time = np.arange(T)[:, None]
    before = np.maximum.accumulate(np.where(seen, time, -1), axis=0)
    after = np.minimum.accumulate(np.where(seen, time, T)[::-1], axis=0)[::-1]
    earlier = (after == T) | ((before >= 0) & (time - before <= after - time))
    nearest = np.where(earlier, before, after)
    return np.where(seen.any(axis=0), nearest, time)


def latest_seen(seen: Flags) -> NDArray[np.int64]:
    """As `nearest_seen`, but the latest row up to now wherever there is one.

    PUBLISHED: the released code looks for the nearest frame and fills the gaps in the array it
    looks in, from the first frame on. After frame 0 the frame before is thus never missing, and no
    other is nearer: what was last seen is carried on to the end of the gap.
    """
    time = np.arange(len(seen))[:, None]
    before = np.maximum.accumulate(np.where(seen, time, -1), axis=0)
    return np.where(before < 0, nearest_seen(seen), before)
