"""From the people that a file says are in a clip to the keypoints of its signer."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.config.estimators import PersonChoice
from slr_pipeline.errors import DataError
from slr_pipeline.io.foreign.keypoints import FoundClip
from slr_pipeline.io.foreign.pose_file import UNSAID
from slr_pipeline.pose.interface import PoseClip
from slr_pipeline.skeleton import FLIP_133

MOST_SIDES: Final = 10
"""A keypoint so many picture sides away is none. Estimators guess what is just outside."""

NEXT_TO_NOTHING: Final = 2
"""Keypoints that are all within so many px of the corner are shares of the picture."""


def signer_of(
    found: FoundClip,
    clip: PoseClip,
    *,
    person: PersonChoice,
    mirrored: bool = False,
    picture: tuple[int, int] | None = None,
) -> NDArray[np.float32]:
    """Keypoints (T, 133, 3) of the signer of a clip, in px of its video.

    `mirrored`: found in frames mirrored left to right; then x is turned back and left and right are
    exchanged. `picture`: width and height that the file's px are of, instead of what it says; each
    axis is scaled by itself then. DataError when what it says is no scale of the video's size, and
    for coordinates that are no pixels.
    """
    width, height = picture or _size(found, clip)
    scale = np.array([clip.width / width, clip.height / height, 1], np.float32)
    _check_places(found, width, height)
    frames = [people * scale for people in found.frames]
    signer = choose_person(frames, person, width=clip.width, height=clip.height)
    if mirrored:
        given = signer[..., 2] > 0
        # ASSUME: width - x as the authors do (Jiang et al., 2021), not width - 1 - x.
        signer[..., 0] = np.where(given, clip.width - signer[..., 0], 0)
        signer = signer[:, list(FLIP_133)]
    return signer


def _size(found: FoundClip, clip: PoseClip) -> tuple[int, int]:
    """Width and height of the pictures that the file's px are of."""
    if found.size is None or found.size == (clip.width, clip.height):
        return clip.width, clip.height
    if found.size == UNSAID:
        raise DataError(
            f"{found.where}: its size of 1000 x 1000 is what programs write that do not know it, "
            f"and the video has {clip.width} x {clip.height}; set features.keypoints.picture"
        )
    width, height = found.size
    factor = clip.width / width
    if abs(height * factor - clip.height) > max(1.0, factor):  # sizes are rounded to whole px
        raise DataError(
            f"{found.where}: keypoints of {width} x {height} px, and {clip.path} has "
            f"{clip.width} x {clip.height}, which is another shape; make the keypoints of this "
            "video, or set features.keypoints.picture"
        )
    return found.size


def _check_places(found: FoundClip, width: int, height: int) -> None:
    """DataError for coordinates that are no pixels of the picture and its surroundings."""
    furthest = [float(np.abs(people[..., :2]).max()) for people in found.frames if len(people)]
    if not furthest:
        return
    if max(furthest) <= NEXT_TO_NOTHING:
        raise DataError(
            f"{found.where}: all keypoints lie within {NEXT_TO_NOTHING} px of the corner; give "
            "pixels, not shares of the picture (OpenPose: --keypoint_scale 0)"
        )
    if max(furthest) > MOST_SIDES * max(width, height):
        raise DataError(
            f"{found.where}: a keypoint lies at {max(furthest):.6g} px, and pictures are {width} x "
            f"{height}; make it again"
        )


def choose_person(
    frames: Sequence[NDArray[np.float32]], choice: PersonChoice, *, width: int, height: int
) -> NDArray[np.float32]:
    """One person a frame, (T, 133, 3), of T arrays (P, 133, 3); all zero where P is 0.

    `largest`: the box around the found keypoints has the largest area. `central`: the middle of
    that box is nearest to the middle of the picture of `width` x `height` px. `tracked`: the
    largest in the first frame with anybody, then the one whose keypoints moved least, on average
    over those that both have, since the frame the signer was last seen in. Of equals the first.
    """
    chosen = np.zeros((len(frames), 133, 3), np.float32)
    last: NDArray[np.float32] | None = None
    for t, people in enumerate(frames):
        if len(people) == 0:
            continue
        if choice == "central":
            best = np.argmin([_off_centre(person, width, height) for person in people])
        elif choice == "tracked" and last is not None:
            best = np.argmin([_moved(last, person) for person in people])
        else:
            best = np.argmax([_area(person) for person in people])
        last = chosen[t] = people[best]
    return chosen


def _box(person: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Top left and bottom right corner (2,) of the found keypoints, px."""
    found = person[person[:, 2] > 0, :2]
    return found.min(axis=0), found.max(axis=0)


def _area(person: NDArray[np.float32]) -> float:
    low, high = _box(person)
    return float(np.prod(high - low))


def _off_centre(person: NDArray[np.float32], width: int, height: int) -> float:
    low, high = _box(person)
    return float(np.linalg.norm((low + high) / 2 - (width / 2, height / 2)))


def _moved(last: NDArray[np.float32], person: NDArray[np.float32]) -> float:
    """Mean distance in px of the keypoints that both have; infinite where there are none."""
    both = (last[:, 2] > 0) & (person[:, 2] > 0)
    if not both.any():
        return float("inf")
    return float(np.linalg.norm(last[both, :2] - person[both, :2], axis=1).mean())
