"""The signer crop: one box per clip, padded to a square, resized. Jiang et al., 2021 (SAM-SLR)."""

import cv2
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import DataError
from slr_pipeline.features.arrays import Floats, Picture
from slr_pipeline.features.imputing import CONFIDENT
from slr_pipeline.schema import Fidelity
from slr_pipeline.skeleton import JOINTS_27

Box = NDArray[np.int32]
"""(4,) x0, y0, x1, y1 in px, ends exclusive."""

CROP_KEYPOINTS = (*range(11), *JOINTS_27[7:])
"""The 31 keypoints of the box: nose, eyes, ears, shoulders to wrists, ten joints of each hand."""

SIZE = 256
"""Side of every crop, px."""

MARGIN = 1.3
HEAD_ROOM = 20 / 512
MEDIAN_FRAMES = 5


def signer_box(
    keypoints: NDArray[np.float32], *, width: int, height: int, fidelity: Fidelity
) -> Box:
    """One box around the signer of a clip, from the extent of 31 keypoints over all frames.

    The box is a square of half side 1.3 (r + 20 px), clipped to the frame: r is half the longer
    extent, 20 px is head room at a frame of 512 px. `published` uses every keypoint of every frame
    and moves the centre by 20 px up and left. `corrected` uses keypoints that survive a median over
    time, scales the 20 px with the frame, and moves the centre up only.

    `keypoints` are (T, 133, 3), px and score, of a frame of `width` x `height` px; if none is seen,
    the box is the whole frame. DataError for `published` and a frame that is not 512 x 512.
    """
    chosen = keypoints[:, CROP_KEYPOINTS].astype(np.float64)
    room = HEAD_ROOM * max(width, height)
    if fidelity == "published":
        if (width, height) != (512, 512):
            raise DataError(
                "fidelity published needs frames of 512x512 as the released code does, found "
                f"{width}x{height}; use fidelity corrected"
            )
        # PUBLISHED: a missing keypoint counts as the point (0, 0), and the centre moves in x too.
        points = chosen[..., :2].reshape(-1, 2)
        shift = (room, room)
    else:
        points = _steady_points(chosen)
        shift = (0.0, room)
    limit = (width, height)
    whole = np.array([0, 0, *limit], np.int32)
    if len(points) == 0:  # T = 0, or nobody is seen
        return whole
    low, high = points.min(axis=0), points.max(axis=0)
    centre = (low + high) / 2 - shift
    half = int(MARGIN * (np.max((high - low) / 2) + room))
    start = np.clip(np.trunc(centre) - half, 0, limit)
    end = np.clip(np.trunc(centre) + half, 0, limit)
    box = np.concatenate([start, end]).astype(np.int32)
    return box if (box[:2] < box[2:]).all() else whole


def _steady_points(points: Floats) -> Floats:
    """Confident points (P, 2): score-weighted medians over five frames of (T, V, 3).

    A point that jumps away for one or two frames loses to its neighbours in time; a hand that
    stays for three frames counts. A window with a low mean score gives no point.
    """
    T = len(points)
    near = np.arange(T)[:, None] + np.arange(MEDIAN_FRAMES) - MEDIAN_FRAMES // 2
    inside = (near >= 0) & (near < T)
    windows = np.moveaxis(points[near.clip(0, T - 1)], 1, -1)  # (T, V, 3, frames)
    weights = windows[:, :, 2] * inside[:, None]
    confident = weights.sum(axis=-1) >= CONFIDENT * inside.sum(axis=-1)[:, None]
    medians = [_weighted_median(windows[:, :, axis], weights) for axis in (0, 1)]
    return np.asarray(np.stack(medians, axis=-1)[confident], np.float64)


def _weighted_median(values: Floats, weights: Floats) -> Floats:
    """Lower weighted median along the last axis."""
    order = values.argsort(axis=-1, kind="stable")
    cumulated = np.take_along_axis(weights, order, axis=-1).cumsum(axis=-1)
    middle = (cumulated >= cumulated[..., -1:] / 2).argmax(axis=-1)
    place = np.take_along_axis(order, middle[..., None], axis=-1)
    return np.take_along_axis(values, place, axis=-1)[..., 0]


def crop_signer(picture: Picture, box: Box, *, interpolation: int) -> Picture:
    """The box of a picture (H, W) or (H, W, C), padded with black to a square, (256, 256[, C]).

    The smaller half of an odd difference goes to the top or left. `interpolation` is OpenCV's.
    """
    x0, y0, x1, y1 = (int(edge) for edge in box)
    cut = picture[y0:y1, x0:x1]
    height, width = cut.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    edges = (top, side - height - top, left, side - width - left)
    square = cv2.copyMakeBorder(cut, *edges, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    return np.asarray(cv2.resize(square, (SIZE, SIZE), interpolation=interpolation), np.uint8)
