"""The keypoints of the signer, chosen among the people that a file has in a clip."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.config.estimators import PersonChoice
from slr_pipeline.errors import DataError
from slr_pipeline.io.foreign.keypoints import FRACTIONS, ForeignClip
from slr_pipeline.io.foreign.pose_file import PLACEHOLDER_SIZE
from slr_pipeline.pose.interface import PoseClip
from slr_pipeline.skeleton import FLIP_133

MAX_PICTURE_SIDES: Final = 10
"""Coordinates farther away, in longer sides of the picture, are errors; estimators do guess a
little beyond the border."""

NORMALISED_BELOW_PX: Final = 2
"""Where all coordinates are smaller, they are fractions of the picture and not px."""


def signer_keypoints(
    foreign: ForeignClip,
    clip: PoseClip,
    *,
    person: PersonChoice,
    mirrored: bool = False,
    picture: tuple[int, int] | None = None,
) -> NDArray[np.float32]:
    """Keypoints (T, 133, 3) of the signer of a clip, in px of its video.

    The file has a frame for each of the video, or the T frames that features are made of.

    `mirrored`: estimated in mirrored frames; x, left and right are turned back. `picture`: width
    and height that the file's px refer to, in place of the size in the file; each axis is then
    scaled on its own. DataError where that size and the video's differ by more than a scale, and
    for coordinates that are not px.
    """
    width, height = picture or _picture_size(foreign, clip)
    scale = np.array([clip.width / width, clip.height / height, 1], np.float32)
    _check_coordinates(foreign, width, height)
    frames = [people * scale for people in foreign.frames]
    signer = choose_person(frames, person, width=clip.width, height=clip.height)
    if mirrored:
        given = signer[..., 2] > 0
        # ASSUME: width - x as the authors do (Jiang et al., 2021), not width - 1 - x.
        signer[..., 0] = np.where(given, clip.width - signer[..., 0], 0)
        signer = signer[:, list(FLIP_133)]
    every_frame = len(signer) == clip.length
    return signer[clip.sampled] if every_frame and clip.sampled is not None else signer


def _picture_size(foreign: ForeignClip, clip: PoseClip) -> tuple[int, int]:
    """Width and height of the pictures that the file's px refer to."""
    if foreign.size is None or foreign.size == (clip.width, clip.height):
        return clip.width, clip.height
    if foreign.size == FRACTIONS:
        return FRACTIONS
    if foreign.size == PLACEHOLDER_SIZE:
        raise DataError(
            f"{foreign.where}: its size of 1000 x 1000 is a placeholder of programs that do not "
            f"have the true one, and the video has {clip.width} x {clip.height}; set "
            "features.keypoints.picture"
        )
    width, height = foreign.size
    factor = clip.width / width
    if abs(height * factor - clip.height) > max(1.0, factor):  # sizes are rounded to whole px
        raise DataError(
            f"{foreign.where}: keypoints of {width} x {height} px, but {clip.path} has another "
            f"shape, {clip.width} x {clip.height}; make the keypoints of this video, or set "
            "features.keypoints.picture"
        )
    return foreign.size


def _check_coordinates(foreign: ForeignClip, width: int, height: int) -> None:
    """DataError for coordinates that are not px in or near the picture."""
    largest = [float(np.abs(people[..., :2]).max()) for people in foreign.frames if len(people)]
    if not largest:
        return
    if max(largest) <= NORMALISED_BELOW_PX and foreign.size != FRACTIONS:
        raise DataError(
            f"{foreign.where}: all keypoints lie within {NORMALISED_BELOW_PX} px of the corner; "
            "give pixels, not fractions of the picture (OpenPose: --keypoint_scale 0)"
        )
    if max(largest) > MAX_PICTURE_SIDES * max(width, height):
        raise DataError(
            f"{foreign.where}: a keypoint lies at {max(largest):.6g} px, and pictures are "
            f"{width} x {height}; make it again"
        )


def choose_person(
    frames: Sequence[NDArray[np.float32]], choice: PersonChoice, *, width: int, height: int
) -> NDArray[np.float32]:
    """One person per frame, (T, 133, 3), from T arrays (P, 133, 3); all zero where P is 0.

    `largest`: the bounding box of the keypoints has the largest area. `central`: the centre of
    that box is nearest to the centre of the picture of `width` x `height` px. `tracked`: the
    largest in the first frame with people, then the one whose keypoints moved least since the
    signer was last seen, on average over the keypoints in both frames. The first among equals.
    """
    chosen = np.zeros((len(frames), 133, 3), np.float32)
    last: NDArray[np.float32] | None = None
    for t, people in enumerate(frames):
        if len(people) == 0:
            continue
        if choice == "central":
            best = np.argmin([_off_centre(person, width, height) for person in people])
        elif choice == "tracked" and last is not None:
            best = np.argmin([_distance(last, person) for person in people])
        else:
            best = np.argmax([_area(person) for person in people])
        last = chosen[t] = people[best]
    return chosen


def _corners(person: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Top left and bottom right corner (2,) px of the bounding box of the keypoints."""
    points = person[person[:, 2] > 0, :2]
    return points.min(axis=0), points.max(axis=0)


def _area(person: NDArray[np.float32]) -> float:
    low, high = _corners(person)
    return float(np.prod(high - low))


def _off_centre(person: NDArray[np.float32], width: int, height: int) -> float:
    low, high = _corners(person)
    return float(np.linalg.norm((low + high) / 2 - (width / 2, height / 2)))


def _distance(last: NDArray[np.float32], person: NDArray[np.float32]) -> float:
    """Mean distance in px of the keypoints that both have; infinite without any."""
    both = (last[:, 2] > 0) & (person[:, 2] > 0)
    if not both.any():
        return float("inf")
    return float(np.linalg.norm(last[both, :2] - person[both, :2], axis=1).mean())
