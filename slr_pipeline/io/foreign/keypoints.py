"""What a file of another program says of the keypoints of one clip, checked and as the 133."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import ArtifactError, DataError
from slr_pipeline.skeleton import KEYPOINTS_133, sources

LOWEST_SCORE = -0.5
HIGHEST_SCORE = 1.5
"""Scores beyond are of another scale. Peaks of heat-maps pass 0 and 1 a little."""

MOST_FRAMES = 2**20
"""Ten hours of video."""


@dataclass(frozen=True)
class FoundClip:
    """The people of one clip: of each of T frames an array (P, 133, 3), with P 0 or more.

    x and y are px of pictures of `size` (width, height), which is None where the file does not
    tell; scores are in [0, 1]. A missing keypoint is (0, 0, 0). `where` names the file.
    """

    where: str
    frames: tuple[NDArray[np.float32], ...]
    size: tuple[int, int] | None


def arranged(
    values: NDArray[np.float32], given: tuple[str, ...], wanted: tuple[str, ...]
) -> NDArray[np.float32]:
    """Points (..., V, 3) of one layout in the order of another; what it lacks is (0, 0, 0)."""
    index = np.array(sources(wanted, given))
    found = np.zeros((*values.shape[:-2], len(wanted), 3), np.float32)
    found[..., index >= 0, :] = values[..., index[index >= 0], :]
    return found


def checked(where: str, values: NDArray[Any], given: tuple[str, ...]) -> NDArray[np.float32]:
    """Points (..., V, 3) of a layout as (..., 133, 3), with scores in [0, 1].

    A score of 0 or less is a missing keypoint, whatever its place is; one above 1 becomes 1.
    DataError for scores that are no numbers or of another scale, and for a keypoint that has a
    score and no place.
    """
    with np.errstate(over="ignore"):  # infinite then, and refused
        points = arranged(np.asarray(values, np.float32), given, KEYPOINTS_133)
    score = points[..., 2]
    if not np.isfinite(score).all():
        raise DataError(f"{where}: scores that are no numbers; expected 0 to 1, make it again")
    if score.size and not (score.min() >= LOWEST_SCORE and score.max() <= HIGHEST_SCORE):
        raise DataError(
            f"{where}: scores from {score.min():.6g} to {score.max():.6g}; expected 0 to 1, "
            "divide them by their largest"
        )
    points[score <= 0] = 0
    if not np.isfinite(points).all():
        raise DataError(
            f"{where}: keypoints with a score and a place that is no number; give them score 0 "
            "where they are missing"
        )
    points[..., 2] = points[..., 2].clip(max=1)
    return points


def people(where: str, points: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """Of points (T, P, 133, 3) each frame's people: those with a keypoint."""
    if len(points) > MOST_FRAMES:  # of no people, which takes a file no bytes
        raise DataError(f"{where}: says it has {len(points)} frames; make it again")
    return tuple(frame[frame[..., 2].any(axis=1)] for frame in points)


def read_bytes(path: Path, most_bytes: int) -> bytes:
    """The bytes of a file. DataError when it cannot be read, ArtifactError when it is too large."""
    try:
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if len(data) > most_bytes:
        raise ArtifactError(f"{path}: has more than {most_bytes} bytes; give a file a clip")
    return data


def damaged(path: Path | str, kind: str, error: Exception) -> ArtifactError:
    """What is said of a file whose reading failed with `error`."""
    text = " ".join(str(error).split()) or type(error).__name__
    reason = "".join(c for c in text[:200] if c.isprintable())
    return ArtifactError(
        f"{path}: not a whole {kind} ({reason}); copy it again from its source, or make it again"
    )


def numbers(values: Sequence[object]) -> NDArray[np.float64]:
    """A list of numbers as an array. ValueError when something else is among them."""
    for value in values:
        if type(value) not in (int, float):
            raise ValueError(f"{ascii(value)[:40]} is not a number")
    return np.array(values, np.float64)
