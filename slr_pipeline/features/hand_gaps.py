"""Short gaps in the detection of a hand, closed from the frames around them; pure numpy."""

from itertools import pairwise

import numpy as np

from slr_pipeline.features.arrays import Flags, Keypoints
from slr_pipeline.skeleton import LEFT_HAND, RIGHT_HAND

MOST_FRAMES = 8
"""The longest gap that is closed: a third of a second at 25 frames/s."""


def found_hands(keypoints: Keypoints) -> Flags:
    """Whether the left and the right hand are found (T, 2) in keypoints (T, 133, 3)."""
    hands = [(keypoints[:, hand, 2] > 0).any(axis=1) for hand in (LEFT_HAND, RIGHT_HAND)]
    return np.stack(hands, axis=1)


def closed_gaps(keypoints: Keypoints, most_frames: int = MOST_FRAMES) -> tuple[Keypoints, Flags]:
    """Keypoints (T, 133, 3) with short gaps of the hands closed, and `found_hands` before that.

    A hand that is missing in at most `most_frames` frames between two that have it is interpolated
    linearly, points and scores. Longer gaps, and those before the first and after the last frame
    with the hand, stay missing. A point that one of the two frames lacks stays missing, too.
    """
    found = found_hands(keypoints)
    closed = keypoints.copy()
    for side, hand in enumerate((LEFT_HAND, RIGHT_HAND)):
        seen = np.flatnonzero(found[:, side])
        for before, after in pairwise(seen.tolist()):
            if not 1 < after - before <= most_frames + 1:
                continue
            ends = keypoints[[before, after]][:, hand]  # (2, 21, 3)
            share = np.arange(1, after - before)[:, None, None] / (after - before)
            between = (1 - share) * ends[0] + share * ends[1]
            both: Flags = np.asarray((ends[..., 2] > 0).all(axis=0))
            closed[before + 1 : after, hand] = between * both[:, None]
    return closed, found
