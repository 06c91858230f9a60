"""Quality measures of the keypoints of a clip, from the keypoints alone: no truth, no video."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.features.arrays import Flags, Floats, Keypoints
from slr_pipeline.skeleton import KEYPOINTS_133, LEFT_HAND, RIGHT_HAND, SHOULDERS

_LEFT_ARM, _RIGHT_ARM = (
    [KEYPOINTS_133.index(f"{side}_{joint}") for joint in ("shoulder", "elbow", "wrist")]
    for side in ("left", "right")
)
_WRISTS = [_LEFT_ARM[-1], _RIGHT_ARM[-1]]
_HANDS = [list(LEFT_HAND), list(RIGHT_HAND)]
_MOVING = [*range(5), *_LEFT_ARM, *_RIGHT_ARM, *LEFT_HAND, *RIGHT_HAND]
"""Keypoints that `jitter` measures: head, arms and hands. Legs are seldom in the picture."""

SAME_PLACE = 0.25
"""Share of a hand's size below which two positions of a hand are the same.

MediaPipe Holistic alone placed 50 of the rendered demo's 6,002 detected hands on the other hand, in
50 frames. With a quarter, `swapped_frames` detects 48 of them, and one frame that is right.
"""

NORMAL_MAD = 1.4826
"""Standard deviation of a normal distribution in median absolute deviations."""


@dataclass(frozen=True)
class KeypointQuality:
    """Quality of the keypoints of one clip; None for a measure that has no data.

    Shares of frames: `person` with any keypoint; `missing_left`, `missing_right` without that hand,
    `missing_hands` without either; `swapped` see `swapped_frames`. `jitter` and `limb_spread`: see
    the functions of these names.
    """

    person: float | None = None
    missing_left: float | None = None
    missing_right: float | None = None
    missing_hands: float | None = None
    jitter: float | None = None
    swapped: float | None = None
    limb_spread: float | None = None


def keypoint_quality(keypoints: Keypoints) -> KeypointQuality:
    """The quality of keypoints (T, 133, 3) of a clip: x and y in px, score; 0 where missing."""
    if len(keypoints) == 0:
        return KeypointQuality()
    seen = keypoints[..., 2] > 0  # (T, V)
    left, right = (seen[:, hand].any(axis=1) for hand in _HANDS)
    return KeypointQuality(
        person=float(seen.any(axis=1).mean()),
        missing_left=float((~left).mean()),
        missing_right=float((~right).mean()),
        missing_hands=float((~left & ~right).mean()),
        jitter=jitter(keypoints),
        swapped=float(swapped_frames(keypoints).mean()),
        limb_spread=limb_spread(keypoints),
    )


def shoulders_px(keypoints: Keypoints) -> float | None:
    """Median width of the shoulders; None if never seen."""
    lengths = _lengths(keypoints, *SHOULDERS)
    return float(np.median(lengths)) if len(lengths) else None


def jitter(keypoints: Keypoints) -> float | None:
    """Median length of the acceleration, in shoulder widths per frame squared; None if never seen.

    The acceleration of a point is x[t-1] - 2 x[t] + x[t+1] if all three frames have it. The median
    is over head, arms and hands in all frames; the shoulder width is the clip's median. For a still
    point with noise of sigma px in x and y it is 2.9 sigma.
    """
    shoulders = shoulders_px(keypoints)
    if len(keypoints) < 3 or not shoulders:
        return None
    points = keypoints[:, _MOVING]
    seen = points[..., 2] > 0
    lengths = np.linalg.norm(np.diff(points[..., :2], n=2, axis=0), axis=-1)  # (T - 2, V)
    lengths = lengths[seen[:-2] & seen[1:-1] & seen[2:]]
    return float(np.median(lengths) / shoulders) if len(lengths) else None


def swapped_frames(keypoints: Keypoints) -> Flags:
    """Frames (T,) in which a hand of (T, 133, 3) seems to be the other one.

    Either both hands are at one place: corresponding points are on average less than `SAME_PLACE`
    hand sizes apart. Or the root of a hand is nearer to the other arm's wrist than to its own, by
    more than that. The hand size is the diagonal of the box around the points of the larger hand.
    A hand counts if it has its root and half of its points.
    """
    points = keypoints[..., :2]
    seen: Flags = keypoints[..., 2] > 0
    hands = points[:, _HANDS]  # (T, 2, 21, 2)
    judged, near, same = _hands_compared(keypoints)
    to_wrist = np.linalg.norm(hands[:, :, None, 0] - points[:, None, _WRISTS], axis=-1)  # (T, 2, 2)
    own, other = to_wrist[:, [0, 1], [0, 1]], to_wrist[:, [0, 1], [1, 0]]
    wrists: Flags = seen[:, _WRISTS[0]] & seen[:, _WRISTS[1]]  # (T,)
    crossed = judged & wrists[:, None] & (own - other > near[:, None])  # (T, 2)
    return np.asarray(same | crossed[:, 0] | crossed[:, 1])


def hands_at_one_place(keypoints: Keypoints) -> Flags:
    """Frames (T,) in which both hands of (T, 133, 3) are at one place; see `swapped_frames`."""
    return _hands_compared(keypoints)[2]


def _hands_compared(keypoints: Keypoints) -> tuple[Flags, Floats, Flags]:
    """Hands that count (T, 2), the distance that is near (T,), and hands at one place (T,)."""
    hands, parts = keypoints[:, _HANDS, :2], keypoints[:, _HANDS, 2] > 0
    judged: Flags = parts[..., 0] & (parts.mean(axis=-1) >= 0.5)  # (T, 2)
    low = np.where(parts[..., None], hands, np.inf).min(axis=2)  # (T, 2, 2)
    high = np.where(parts[..., None], hands, -np.inf).max(axis=2)
    size = np.linalg.norm(np.where(judged[..., None], high - low, 0), axis=-1)  # (T, 2)
    near: Floats = np.asarray(SAME_PLACE * size.max(axis=1))  # (T,)

    common: Flags = parts[:, 0] & parts[:, 1]  # (T, 21)
    apart = np.linalg.norm(hands[:, 0] - hands[:, 1], axis=-1) * common
    same = judged[:, 0] & judged[:, 1] & (apart.sum(axis=1) < near * common.sum(axis=1))
    return judged, near, np.asarray(same)


def limb_spread(keypoints: Keypoints) -> float | None:
    """Largest spread of the lengths of upper arms and forearms; None if none is ever seen.

    The spread is 1.4826 median absolute deviations over the median of a limb's length in px, in
    the frames that have both ends. A forearm that turns towards the camera spreads too.
    """
    spreads = []
    for shoulder, elbow, wrist in (_LEFT_ARM, _RIGHT_ARM):
        for limb in ((shoulder, elbow), (elbow, wrist)):
            lengths = _lengths(keypoints, *limb)
            if len(lengths) and (middle := np.median(lengths)):
                spreads.append(NORMAL_MAD * np.median(np.abs(lengths - middle)) / middle)
    return float(max(spreads)) if spreads else None


def _lengths(keypoints: Keypoints, a: int, b: int) -> NDArray[np.floating]:
    """Distance of two points in px, in the frames with both."""
    both = keypoints[(keypoints[:, [a, b], 2] > 0).all(axis=1)]
    lengths: NDArray[np.floating] = np.linalg.norm(both[:, a, :2] - both[:, b, :2], axis=-1)
    return lengths
