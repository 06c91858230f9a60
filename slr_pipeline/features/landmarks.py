"""Keypoints in frames of reference of the body and the hands; pure numpy.

In both, moving, scaling or turning the picture changes nothing. Points are those of
`skeleton.LANDMARKS_57`, (T, 57, 2), with whether they are seen, (T, 57).
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np

from slr_pipeline.features.arrays import Flags, Floats, Keypoints
from slr_pipeline.skeleton import LANDMARKS_57

SHOULDERS = (1, 2)
"""The left and the right shoulder, also among the 27 joints of SL-GCN."""

HANDS = (slice(15, 36), slice(36, 57))
"""The left and the right hand."""

MIDDLE_FINGER = 9
"""The knuckle of the middle finger among the 21 points of a hand."""

TIP_PAIRS = tuple(combinations((0, 4, 8, 12, 16, 20), 2))
"""Pairs of the root and the tips of the fingers."""

BENDS = tuple(
    triple
    for base in range(1, 21, 4)
    for triple in ((0, base, base + 1), (base, base + 1, base + 2), (base + 1, base + 2, base + 3))
)
"""Three neighbouring points of a finger, from the root to the tip."""

SHAPE_VALUES = 20 * 2 + len(TIP_PAIRS) + len(BENDS)
"""Values of `hand_shape`."""


class Points(NamedTuple):
    """Points (T, V, 2), and whether each is seen (T, V); an unseen one is at (0, 0)."""

    xy: Floats
    seen: Flags


def body_reference(points: Points) -> tuple[Floats, Floats]:
    """Origin and x axis (2,) of the body, in pixels, of points that start with `SHOULDERS`.

    The middle of the shoulders and the vector from the right to the left one, medians over the
    frames that have both. Without such a frame: the middle of the box around all seen points, and
    its larger side along x.
    """
    xy, seen = points
    both = seen[:, SHOULDERS].all(axis=1)
    if both.any():
        left, right = (xy[both, side] for side in SHOULDERS)
        axis = np.median(left - right, axis=0)
        if axis.any():
            return np.median((left + right) / 2, axis=0), axis
    if not seen.any():
        return np.zeros(2), np.array([1.0, 0.0])
    low, high = xy[seen].min(axis=0), xy[seen].max(axis=0)
    return (low + high) / 2, np.array([max(*(high - low), 1.0), 0.0])


def in_body_frame(keypoints: Keypoints) -> Points:
    """The 57 points of keypoints (T, 133, 3) in the frame of reference of the body.

    Its unit is the length of the x axis; see `body_reference`.
    """
    points = keypoints[:, LANDMARKS_57].astype(np.float64)
    xy, seen = points[..., :2], np.asarray(points[..., 2] > 0)
    origin, axis = body_reference(Points(xy, seen))
    # Division by the axis as a complex number turns and scales; y stays downwards.
    cos, sin = axis / (axis @ axis)
    xy = (xy - origin) @ np.array([[cos, -sin], [sin, cos]])
    return Points(xy * seen[..., None], seen)


def hand_shape(points: Points, hand: slice) -> Floats:
    """The shape of a hand of the 57 points, (T, `SHAPE_VALUES`); 0 where its points are not seen.

    Per frame: the 20 points from the root; the distances of the root and the five tips from each
    other; the cosines of the bends within the fingers. The unit is the size of the palm, from the
    root to the knuckle of the middle finger: the median of the clip.
    """
    xy, seen = points.xy[:, hand], points.seen[:, hand]
    xy = (xy - xy[:, :1]) * (seen & seen[:, :1])[..., None]
    palm = np.linalg.norm(xy[:, MIDDLE_FINGER], axis=-1)
    xy /= np.median(palm[palm > 0]) if palm.any() else 1.0
    first, second = np.array(TIP_PAIRS).T
    distances = np.linalg.norm(xy[:, first] - xy[:, second], axis=-1)
    before, at, after = np.array(BENDS).T
    inwards, outwards = xy[:, at] - xy[:, before], xy[:, after] - xy[:, at]
    lengths = np.linalg.norm(inwards, axis=-1) * np.linalg.norm(outwards, axis=-1)
    bends = (inwards * outwards).sum(axis=-1) / np.maximum(lengths, 1e-9)
    shape = [
        xy[:, 1:].reshape(len(xy), -1),
        distances * (seen[:, first] & seen[:, second]),
        bends * (seen[:, before] & seen[:, at] & seen[:, after]),
    ]
    return np.concatenate(shape, axis=1)


def at_moments(points: Points, moments: Floats) -> Points:
    """Points at some moments, in frames from 0; before the first and after the last: these.

    A point is interpolated linearly between the two frames around its moment if both have it, else
    it is that of the nearest frame.
    """
    last = len(points.xy) - 1
    moments = np.clip(moments, 0, last)
    before = moments.astype(np.int64)
    after = np.minimum(before + 1, last)
    weight = (moments - before)[:, None]
    both = points.seen[before] & points.seen[after]
    weight = np.where(both, weight, np.round(weight))[..., None]
    xy = (1 - weight) * points.xy[before] + weight * points.xy[after]
    nearest = np.where(weight[..., 0] < 0.5, points.seen[before], points.seen[after])
    return Points(xy, both | nearest)


def movement(values: Floats, there: Flags) -> Floats:
    """First differences over time of values (T, ...), 0 for the first frame.

    They are 0 unless a frame and the one before it have the value, as `there`, (T, ...), says.
    """
    out = np.zeros_like(values)
    out[1:] = np.diff(values, axis=0) * (there[1:] & there[:-1])
    return out
