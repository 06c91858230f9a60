"""What networks share that see one person in a picture of fixed size: crops, batches, keypoints.

Whole coordinates are the centres of pixels, of the frame as of a crop. A crop is placed
symmetrically about the middle of its box, so the crop of a mirrored frame is the mirrored crop.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Points = NDArray[np.float32]

LOWEST_SCORE: Final = 1e-3
"""What a point scores at least that a network gives: 0 is a missing one."""

BOX_PADDING: Final = 1.25
"""How much longer and wider than a person's box the crop is (MMPose's own)."""

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True)
class Box:
    """A person's box: edges in px, the frame's own being 0, 0, width and height."""

    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class Crop:
    """A picture of fixed size cut out of a frame.

    (x, y) px of the picture lie at (scale x + left, scale y + top) px of the frame.
    """

    picture: Picture
    scale: float
    left: float
    top: float

    def to_frame(self, points: Points) -> Points:
        """Points (..., 2) of the picture in px of the frame."""
        offset = np.array([self.left, self.top])
        return np.asarray(points * self.scale + offset, np.float32)


@dataclass(frozen=True)
class Answer:
    """A network's answer to a picture: `points` (133, 2) in px of the picture, `scores` (133,).

    `maps` (133, h, w) are the heat-maps that it was decoded from, if they were asked for.
    """

    points: Points
    scores: Points
    maps: Points | None = None


@dataclass(frozen=True)
class Found:
    """What was found in a frame: `keypoints` (133, 3), x, y in px of the frame, and the score.

    `maps` are those of the answer, for the picture of `crop`.
    """

    keypoints: Points
    crop: Crop | None = None
    maps: Points | None = None


def cut(frame: Picture, box: Box | None, size: tuple[int, int]) -> Crop:
    """The crop (H, W, 3) of a box, or of the whole frame, that `size` (W, H) asks for.

    The box keeps its proportions and lies in the middle; beyond the frame all is black. A person's
    box gets `BOX_PADDING`; the frame has no need of it, there is room around the signer in it.
    """
    height, width = frame.shape[:2]
    padding = 1.0 if box is None else BOX_PADDING
    box = box or Box(0, 0, width, height)
    scale = padding * max((box.x1 - box.x0) / size[0], (box.y1 - box.y0) / size[1])
    left = (box.x0 + box.x1 - scale * (size[0] - 1) - 1) / 2
    top = (box.y0 + box.y1 - scale * (size[1] - 1) - 1) / 2
    # Of a large frame means are taken: single pixels of it would be noise.
    shrink = max(1, round(scale))
    small = (max(1, round(width / shrink)), max(1, round(height / shrink)))
    if shrink > 1:
        frame = np.asarray(cv2.resize(frame, small, interpolation=cv2.INTER_AREA), np.uint8)
    x, y = width / frame.shape[1], height / frame.shape[0]
    matrix = np.array(
        [[scale / x, 0, (left + 0.5) / x - 0.5], [0, scale / y, (top + 0.5) / y - 0.5]]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    picture = cv2.warpAffine(frame, matrix, size, flags=flags)
    return Crop(np.asarray(picture, np.uint8), scale, left, top)


def in_batches(
    items: Iterable[ItemT], size: int, answer: Callable[[list[ItemT]], Iterable[AnswerT]]
) -> Iterator[AnswerT]:
    """The answers to items, in order, of which `answer` is given at most `size` at a time."""
    batch: list[ItemT] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield from answer(batch)
            batch = []
    if batch:
        yield from answer(batch)


def look(
    crops: Iterable[Crop | None],
    batch_size: int,
    network: Callable[[list[Picture]], Iterable[Answer]],
) -> Iterator[Found]:
    """What a network finds in crops, `batch_size` at a time; nothing where there is no crop."""

    def answer(batch: list[Crop | None]) -> Iterator[Found]:
        pictures = [crop.picture for crop in batch if crop is not None]
        answers = iter(network(pictures) if pictures else ())
        for crop in batch:
            if crop is None:
                yield Found(np.zeros((133, 3), np.float32))
            else:
                found = next(answers)
                height, width = crop.picture.shape[:2]
                points = found.points.clip(0, (width - 1, height - 1))  # DARK may lead far away
                keypoints = keypoints_of(crop.to_frame(points), found.scores)
                yield Found(keypoints, crop, found.maps)

    return in_batches(crops, batch_size, answer)


def stacked(found: Iterable[Found]) -> Points:
    """The keypoints (T, 133, 3) of a clip."""
    keypoints = [each.keypoints for each in found]
    return np.stack(keypoints) if keypoints else np.zeros((0, 133, 3), np.float32)


def keypoints_of(points: Points, scores: Points) -> Points:
    """Keypoints (133, 3) from points (133, 2) and a network's scores (133,).

    What scores 0 or less, or has no place that is a number, was not found; what scores more than 1
    is taken as 1.
    """
    found = np.concatenate([points, scores.clip(LOWEST_SCORE, 1)[:, None]], axis=1)
    found[~(scores > 0) | ~np.isfinite(points).all(axis=1)] = 0
    return np.asarray(found, np.float32)


def decode_simcc(x: Points, y: Points, size: tuple[int, int]) -> tuple[Points, Points]:
    """Points (B, V, 2) in px of the crop and scores (B, V), from SimCC vectors.

    Each coordinate is the place of the largest value (Li et al., 2022, SimCC), the score the
    smaller of the two values.

    Args:
        x: (B, V, s W), s bins a pixel.
        y: (B, V, s H).
        size: (W, H) of the crop.
    """
    bins = np.array([x.shape[-1] / size[0], y.shape[-1] / size[1]])
    points = np.stack([x.argmax(axis=-1), y.argmax(axis=-1)], axis=-1) / bins
    return points.astype(np.float32), np.minimum(x.max(axis=-1), y.max(axis=-1))


def decode_quarter(maps: Points) -> tuple[Points, Points]:
    """Points (V, 2) in cells and scores (V,) from maps (V, H, W).

    A point is the cell of the largest value, moved by a quarter towards the larger neighbour in x
    and in y unless it lies at the border (SAM-SLR's released code: 1 < x < W - 1, 1 < y < H - 1).
    """
    V, H, W = maps.shape
    best = maps.reshape(V, -1).argmax(axis=1)
    y, x = np.divmod(best, W)
    each = np.arange(V)
    scores = maps[each, y, x]
    points = np.stack([x, y], axis=1).astype(np.float32)
    inner = (x > 1) & (x < W - 1) & (y > 1) & (y < H - 1)
    v, x, y = each[inner], x[inner], y[inner]
    points[inner, 0] += 0.25 * np.sign(maps[v, y, x + 1] - maps[v, y, x - 1])
    points[inner, 1] += 0.25 * np.sign(maps[v, y + 1, x] - maps[v, y - 1, x])
    return points, scores
