"""The shared part of networks that see one person in a picture of fixed size.

They crop pictures from frames, run the network in batches, and return keypoints of the frame.
Integer coordinates are the centres of pixels, in frames and in crops. A crop is centred on its box,
so the crop of a mirrored frame is the mirrored crop.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

MIN_SCORE: Final = 1e-3
"""Lowest score of a point that a network gives; 0 is a missing one."""

BOX_PADDING: Final = 1.25
"""Size of a crop relative to the person's box, as in MMPose."""

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Box:
    """A person's box: its edges in px; those of the frame are 0, 0, width and height."""

    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class Crop:
    """A picture (H, W, 3) of fixed size, cropped from a frame.

    Its pixel (x, y) lies at (scale x + left, scale y + top) px of the frame.
    """

    picture: NDArray[np.uint8]
    scale: float
    left: float
    top: float

    def to_frame(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points (..., 2) in px of the picture as px of the frame."""
        offset = np.array([self.left, self.top])
        return np.asarray(points * self.scale + offset, np.float32)


@dataclass(frozen=True)
class Prediction:
    """A network's output for one picture: `points` (133, 2) in its px, and `scores` (133,).

    `maps` (133, h, w) are the heat-maps that the points were decoded from, if asked for.
    """

    points: NDArray[np.float32]
    scores: NDArray[np.float32]
    maps: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class FramePose:
    """The pose in one frame: `keypoints` (133, 3), x and y in px of the frame, and score.

    `maps` are those of the prediction, for the picture of `crop`.
    """

    keypoints: NDArray[np.float32]
    crop: Crop | None = None
    maps: NDArray[np.float32] | None = None


def crop_frame(frame: NDArray[np.uint8], box: Box | None, size: tuple[int, int]) -> Crop:
    """Crop a box, or the whole frame (H, W, 3), to a picture of `size` (W, H).

    The box keeps its aspect ratio and lies in the middle; outside the frame the picture is black.
    A person's box gets `BOX_PADDING`; the whole frame already has room around the signer.
    """
    height, width = frame.shape[:2]
    padding = 1.0 if box is None else BOX_PADDING
    box = box or Box(0, 0, width, height)
    scale = padding * max((box.x1 - box.x0) / size[0], (box.y1 - box.y0) / size[1])
    left = (box.x0 + box.x1 - scale * (size[0] - 1) - 1) / 2
    top = (box.y0 + box.y1 - scale * (size[1] - 1) - 1) / 2
    # Average pixels of a large frame: sampling single ones gives noise.
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
    items: Iterable[ItemT], size: int, function: Callable[[list[ItemT]], Iterable[ResultT]]
) -> Iterator[ResultT]:
    """The results of `function` for all items, in order, calling it with at most `size` items."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield from function(batch)


def poses_in_crops(
    crops: Iterable[Crop | None],
    batch_size: int,
    network: Callable[[list[NDArray[np.uint8]]], Iterable[Prediction]],
) -> Iterator[FramePose]:
    """The pose that a network predicts in each crop; no keypoints where there is no crop."""

    def predict(batch: list[Crop | None]) -> Iterator[FramePose]:
        pictures = [crop.picture for crop in batch if crop is not None]
        predictions = iter(network(pictures) if pictures else ())
        for crop in batch:
            if crop is None:
                yield FramePose(np.zeros((133, 3), np.float32))
            else:
                predicted = next(predictions)
                height, width = crop.picture.shape[:2]
                points = predicted.points.clip(0, (width - 1, height - 1))  # DARK can overshoot
                keypoints = to_keypoints(crop.to_frame(points), predicted.scores)
                yield FramePose(keypoints, crop, predicted.maps)

    return in_batches(crops, batch_size, predict)


def stack_keypoints(poses: Iterable[FramePose]) -> NDArray[np.float32]:
    """The keypoints (T, 133, 3) of a clip."""
    keypoints = [pose.keypoints for pose in poses]
    return np.stack(keypoints) if keypoints else np.zeros((0, 133, 3), np.float32)


def to_keypoints(points: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keypoints (133, 3) from points (133, 2) and a network's scores (133,).

    A point with a score of 0 or less, or without finite coordinates, is missing; scores above 1
    become 1.
    """
    keypoints = np.concatenate([points, scores.clip(MIN_SCORE, 1)[:, None]], axis=1)
    keypoints[~(scores > 0) | ~np.isfinite(points).all(axis=1)] = 0
    return np.asarray(keypoints, np.float32)


def decode_simcc(
    x: NDArray[np.float32], y: NDArray[np.float32], size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Points (B, V, 2) in px of the crop and scores (B, V), from SimCC vectors.

    Each coordinate is the position of the largest value (Li et al., 2022, SimCC); the score is the
    smaller of the two values. x is (B, V, s W) and y (B, V, s H) with s bins per pixel; `size` is
    (W, H) of the crop.
    """
    bins = np.array([x.shape[-1] / size[0], y.shape[-1] / size[1]])
    points = np.stack([x.argmax(axis=-1), y.argmax(axis=-1)], axis=-1) / bins
    return points.astype(np.float32), np.minimum(x.max(axis=-1), y.max(axis=-1))


def decode_quarter(maps: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Points (V, 2) in cells and scores (V,) from heat-maps (V, H, W).

    A point is the cell with the largest value, shifted by a quarter cell towards the larger
    neighbour in x and in y, except at the border (SAM-SLR's released code: 1 < x < W - 1,
    1 < y < H - 1).
    """
    V, H, W = maps.shape
    best = maps.reshape(V, -1).argmax(axis=1)
    y, x = np.divmod(best, W)
    all_points = np.arange(V)
    scores = maps[all_points, y, x]
    points = np.stack([x, y], axis=1).astype(np.float32)
    inner = (x > 1) & (x < W - 1) & (y > 1) & (y < H - 1)
    v, x, y = all_points[inner], x[inner], y[inner]
    points[inner, 0] += 0.25 * np.sign(maps[v, y, x + 1] - maps[v, y, x - 1])
    points[inner, 1] += 0.25 * np.sign(maps[v, y + 1, x] - maps[v, y - 1, x])
    return points, scores
