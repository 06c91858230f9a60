"""Frames that replace those without a confident keypoint."""

import numpy as np

from slr_pipeline.features.arrays import Flags, Indices

CONFIDENT = 0.3
"""Least score of a keypoint that `corrected` boxes use: below it estimators guess."""


def nearest_seen(seen: Flags) -> Indices:
    """For each flag (T, V), the nearest row with a set flag in its column, ties to the earlier.

    In a column without a set flag, each row gives itself.
    """
    T = len(seen)
    time = np.arange(T)[:, None]
    before = np.maximum.accumulate(np.where(seen, time, -1), axis=0)
    after = np.minimum.accumulate(np.where(seen, time, T)[::-1], axis=0)[::-1]
    earlier = (after == T) | ((before >= 0) & (time - before <= after - time))
    nearest = np.where(earlier, before, after)
    return np.where(seen.any(axis=0), nearest, time)


def latest_seen(seen: Flags) -> Indices:
    """As `nearest_seen`, but the latest earlier row if there is one.

    PUBLISHED: the released code searches the nearest frame in the array that it fills from the
    first frame on. After frame 0 the previous frame is therefore never missing and always nearest:
    the last seen point is repeated to the end of the gap.
    """
    time = np.arange(len(seen))[:, None]
    before = np.maximum.accumulate(np.where(seen, time, -1), axis=0)
    return np.where(before < 0, nearest_seen(seen), before)
