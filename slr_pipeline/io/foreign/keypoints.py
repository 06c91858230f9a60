"""The keypoints of one clip as another program wrote them: checked, in the order of the 133."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import DataError
from slr_pipeline.skeleton import KEYPOINTS_133, sources

MIN_SCORE: Final = -0.5
MAX_SCORE: Final = 1.5
"""Scores outside this range have another scale. Peaks of heat-maps exceed 0 to 1 a little."""

FRACTIONS: Final = (1, 1)
"""The size of a `ForeignClip` whose coordinates are fractions of the width and height."""

MAX_FRAMES: Final = 2**20
"""Ten hours of video."""


@dataclass(frozen=True)
class ForeignClip:
    """The people in each of T frames of a clip: arrays (P, 133, 3), where P may be 0.

    x and y are px of pictures of `size` (width, height), None where the file does not give it, or
    fractions if it is `FRACTIONS`; scores are in [0, 1]. A missing keypoint is (0, 0, 0). `where`
    names the file in messages.
    """

    where: str
    frames: tuple[NDArray[np.float32], ...]
    size: tuple[int, int] | None


def reorder(
    points: NDArray[np.float32], layout: tuple[str, ...], wanted: tuple[str, ...]
) -> NDArray[np.float32]:
    """Points (..., V, 3) of one layout in the order of another; (0, 0, 0) where it has none."""
    index = np.array(sources(wanted, layout))
    reordered = np.zeros((*points.shape[:-2], len(wanted), 3), np.float32)
    reordered[..., index >= 0, :] = points[..., index[index >= 0], :]
    return reordered


def to_133(where: str, values: NDArray[Any], layout: tuple[str, ...]) -> NDArray[np.float32]:
    """Points (..., V, 3) of a layout as (..., 133, 3), with scores in [0, 1].

    A score of 0 or less is a missing keypoint, whatever its coordinates; one above 1 becomes 1.
    DataError for scores that are not finite or have another scale, and for a keypoint with a score
    and without finite coordinates.
    """
    with np.errstate(over="ignore"):  # an overflow gives infinity, which is refused below
        points = reorder(np.asarray(values, np.float32), layout, KEYPOINTS_133)
    score = points[..., 2]
    if not np.isfinite(score).all():
        raise DataError(f"{where}: scores are NaN or infinite; expected 0 to 1, make it again")
    if score.size and not (score.min() >= MIN_SCORE and score.max() <= MAX_SCORE):
        raise DataError(
            f"{where}: scores from {score.min():.6g} to {score.max():.6g}; expected 0 to 1, "
            "divide them by the largest"
        )
    points[score <= 0] = 0
    if not np.isfinite(points).all():
        raise DataError(
            f"{where}: keypoints with a score have NaN or infinite coordinates; give missing ones "
            "score 0"
        )
    points[..., 2] = points[..., 2].clip(max=1)
    return points


def people_in_frames(where: str, points: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """The people (P, 133, 3) of each frame, from points (T, P, 133, 3): those with a keypoint."""
    if len(points) > MAX_FRAMES:  # without people, they take no bytes in a file
        raise DataError(f"{where}: claims to have {len(points)} frames; make it again")
    return tuple(frame[frame[..., 2].any(axis=1)] for frame in points)
