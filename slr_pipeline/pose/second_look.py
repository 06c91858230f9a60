"""Hands of MediaPipe checked, and a second look around the wrist at those that it missed.

Holistic places a hand by the body's wrist. It loses hands that touch the face or the other hand,
and follows hands below the picture. Here a palm detector searches around the wrist instead.
"""

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.features.keypoint_quality import hands_at_one_place
from slr_pipeline.skeleton import KEYPOINTS_133, LEFT_HAND, RIGHT_HAND, SHOULDERS

MIN_VISIBILITY: Final = 0.5
"""Least visibility of a wrist for a second look."""

SURE: Final = 0.5
"""Least presence of a hand that needs no second look, and of one that it finds."""

MIN_PALM: Final = 0.3
"""Least confidence of the palm detector."""

FLAT: Final = 16
"""A row or column of a frame belongs to its bars if its grey values differ by no more."""

_CROP_SIDE: Final = 1.2
"""Side of the crop, relative to the shoulder width or the forearm, whichever is longer."""
_BEYOND_WRIST: Final = 0.25
"""The crop's centre lies beyond the wrist by this share of the forearm."""

Frame = NDArray[np.uint8]
Keypoints = NDArray[np.float32]

FoundHand = tuple[str, NDArray[np.float64]]
"""The signer's side, `left` or `right`, and the points of a hand (21, 3).

x and y are shares of the picture's sides; the third is the probability that it is of that side.
"""

HandFinder = Callable[[Frame], Iterable[FoundHand]]
"""Finds at most two hands in a picture (H, W, 3) RGB."""

_SIDES: Final[tuple[tuple[str, range, int, int], ...]] = tuple(
    (side, hand, KEYPOINTS_133.index(f"{side}_elbow"), KEYPOINTS_133.index(f"{side}_wrist"))
    for side, hand in (("left", LEFT_HAND), ("right", RIGHT_HAND))
)
"""Side, hand, elbow and wrist."""


class SecondLook:
    """Searches hands in crops of a frame; keeps no state between frames."""

    def __init__(self, find: HandFinder) -> None:
        self._find = find

    def correct(self, frame: Frame, keypoints: Keypoints) -> None:
        """Correct the hands of keypoints (133, 3) of a frame (H, W, 3) RGB in place.

        A hand outside the picture, and one of two hands at the same place, become missing. A hand
        that is missing or of low presence is searched around its wrist if that is visible in the
        picture; the score of one found there is the probability that it is a hand of that side.
        """
        box = picture_box(frame)
        drop_outside(keypoints, box)
        drop_twin(keypoints)
        shoulders = keypoints[SHOULDERS[0], :2] - keypoints[SHOULDERS[1], :2]
        for side, hand, elbow, wrist in _SIDES:
            place, visibility = keypoints[wrist, :2], keypoints[wrist, 2]
            weak = keypoints[hand.start, 2] < SURE
            if weak and visibility >= MIN_VISIBILITY and inside(place, box).all():
                forearm = place - keypoints[elbow, :2]
                side_px = _CROP_SIDE * max(np.linalg.norm(part) for part in (shoulders, forearm))
                found = self._search(frame, place + _BEYOND_WRIST * forearm, side_px, side)
                if found is not None:
                    before = keypoints[hand].copy()
                    keypoints[hand] = found
                    drop_outside(keypoints, box)
                    if hands_at_one_place(keypoints[None])[0]:
                        keypoints[hand] = before

    def _search(
        self, frame: Frame, center: NDArray[np.float32], side_px: np.floating, side: str
    ) -> Keypoints | None:
        """The most probable hand of a side (21, 3) in a square of the frame, or None."""
        crop, (left, top) = square_crop(frame, center, side_px)
        size = len(crop)
        hands = [hand for found, hand in self._find(crop) if found == side]
        if not hands:
            return None
        best = max(hands, key=lambda hand: float(hand[0, 2]))
        return (best * (size, size, 1) + (left, top, 0)).astype(np.float32)


def square_crop(
    frame: Frame, center: NDArray[np.float32], side_px: np.floating
) -> tuple[Frame, tuple[int, int]]:
    """A square of a frame, black outside of it, and its left and top in px."""
    size = max(round(side_px), 2)
    left, top = (round(float(value) - size / 2) for value in center)
    part = frame[max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)]
    crop = np.zeros((size, size, 3), np.uint8)
    y, x = max(-top, 0), max(-left, 0)
    crop[y : y + part.shape[0], x : x + part.shape[1]] = part
    return crop, (left, top)


def picture_box(frame: Frame) -> tuple[int, int, int, int]:
    """Left, top, right, bottom (exclusive) in px of a frame without its bars; all 0 if it is flat.

    Bars are rows and columns of one colour at the rim, as players add them to fill a screen.
    """
    grey = frame[..., 1]
    ends = []
    for axis in (0, 1):
        spread = grey.max(axis=axis) - grey.min(axis=axis)
        varied = np.flatnonzero(spread > FLAT)
        ends.append((int(varied[0]), int(varied[-1]) + 1) if len(varied) else (0, 0))
    (left, right), (top, bottom) = ends
    return left, top, right, bottom


def inside(points: Keypoints, box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """Which points (..., 2) lie in a box (left, top, right, bottom)."""
    corner, end = np.array(box[:2]), np.array(box[2:])
    return np.asarray(((points >= corner) & (points < end)).all(axis=-1))


def drop_outside(keypoints: Keypoints, box: tuple[int, int, int, int]) -> None:
    """Make hands of (133, 3) missing if less than half of their points lie in the box."""
    for hand in (LEFT_HAND, RIGHT_HAND):
        if inside(keypoints[hand, :2], box).mean() < 0.5:
            keypoints[hand] = 0


def drop_twin(keypoints: Keypoints) -> None:
    """Of two hands at one place, make that one missing which is farther from its wrist."""
    if hands_at_one_place(keypoints[None])[0]:
        away = [
            np.linalg.norm(keypoints[hand.start, :2] - keypoints[wrist, :2])
            for _, hand, _, wrist in _SIDES
        ]
        keypoints[_SIDES[int(np.argmax(away))][1]] = 0
