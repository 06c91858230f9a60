"""Hand crops: square boxes around the hands, located by the arms alone, and their pictures.

Source: De Coster et al., 2021 (CVPRW), equations 1 and 2, and the released code. The centre of the
box lies beyond the wrist w, on the line from the elbow e: c = w + 0.15 (w - e). Its side is 1.2
times (`corrected`: 1.3 times) the distance of the shoulders.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.features.arrays import Flags, Floats, Indices, Keypoints, Picture
from slr_pipeline.features.imputing import CONFIDENT, nearest_seen
from slr_pipeline.schema import Fidelity
from slr_pipeline.skeleton import SHOULDERS

ARMS = ((9, 7), (10, 8))
"""Wrist and elbow of the left and the right arm, in COCO-WholeBody as in BODY_135."""

BEYOND_WRIST = 0.15
SHOULDER_DISTANCES: dict[Fidelity, float] = {"published": 1.2, "corrected": 1.3}
"""Side of a box. Stretched fingers of a raised hand leave it in 4 % of the rendered hands with the
1.2 of equation 2, in 0.2 % with 1.3."""

FURTHEST_PX = 2**29
"""Boxes further out are moved here, so that their sides fit 32 bits."""

LONGEST_SLIVER = 512
"""Longest ratio of sides that a `published` crop enlarges whole."""


@dataclass(frozen=True)
class HandBoxes:
    """Boxes of the hands of a clip, left hand first.

    Attributes:
        boxes: (T, 2, 4) int32 x0, y0, x1, y1 in pixels, ends exclusive. `published`: clipped at the
            picture's border, so not always square. `corrected`: square, may leave the picture;
            (0, 0, 0, 0) if missing.
        missing: (T, 2) no box could be made. `published`: the box is the whole picture.
        imputed: (T, 2) wrist and elbow, or the shoulders, come from another frame; never in
            `published`.
    """

    boxes: NDArray[np.int32]
    missing: Flags
    imputed: Flags


def hand_boxes(keypoints: Keypoints, *, width: int, height: int, fidelity: Fidelity) -> HandBoxes:
    """Boxes of both hands in every frame (De Coster et al., 2021, equations 1 and 2).

    `corrected`: without a confident wrist and elbow, both come from the nearest frame that has
    both, and the shoulders from that frame or the nearest one to it that has them.
    `published`: the whole picture is the box; see `published_slots`.

    `keypoints` are (T, 133, 3) x, y in pixels and score, 0 where missing; T may be 0. Only
    `published` uses `width` and `height` of the picture.
    """
    places = keypoints[..., :2].astype(np.float64)
    scores = keypoints[..., 2]
    seen: Flags = np.asarray(scores > 0 if fidelity == "published" else scores >= CONFIDENT)
    places[~seen] = 0
    left, right = SHOULDERS
    sides = SHOULDER_DISTANCES[fidelity] * np.linalg.norm(
        places[:, left] - places[:, right], axis=-1
    )
    wrists, elbows = np.array(ARMS).T
    centres = places[:, wrists] + BEYOND_WRIST * (places[:, wrists] - places[:, elbows])
    arm_visible = seen[:, wrists] & seen[:, elbows]  # (T, 2)
    if fidelity == "published":
        return _published(centres, sides, arm_visible, width, height)
    return _corrected(centres, sides, arm_visible, seen[:, left] & seen[:, right])


def crop_hand(
    picture: Picture, box: NDArray[np.int32], size: int = 256, *, fidelity: Fidelity
) -> Picture:
    """The picture in a box of `hand_boxes`, (size, size[, 3]); black if the box is empty.

    `corrected`: the whole box, undistorted, black outside the picture. `published`: the central
    square of the box after its shorter side is resized to `size`. De Coster et al. evaluate a
    central crop (224 of 256) of the whole resized box; that of the square has the same pixels,
    because both offsets round (w - size) / 2 alike: half of the difference 32 is even.

    `picture` is (H, W, 3) colour or (H, W) depth; `fidelity` is that of the box.
    """
    left, top, right, bottom = (int(edge) for edge in box)
    height, width = picture.shape[:2]
    rows = slice(max(top, 0), max(min(bottom, height), 0))
    columns = slice(max(left, 0), max(min(right, width), 0))
    inside = picture[rows, columns]
    if not inside.size:
        return np.zeros((size, size, *picture.shape[2:]), dtype=np.uint8)
    if fidelity == "published":
        return _middle(inside, size)
    crop = np.zeros((size, size, *picture.shape[2:]), dtype=np.uint8)
    into_rows = _scaled(rows, top, bottom, size)
    into_columns = _scaled(columns, left, right, size)
    shape = (into_columns.stop - into_columns.start, into_rows.stop - into_rows.start)
    if min(shape) > 0:
        method = cv2.INTER_AREA if right - left > size else cv2.INTER_LINEAR
        crop[into_rows, into_columns] = cv2.resize(inside, shape, interpolation=method)
    return crop


def published_slots(missing: Flags) -> Indices:
    """The slot whose crop each of the 16 slots of an item shows, for one hand.

    The released code means to replace a crop of the whole picture by that of the nearest slot with
    a hand, ties to the earlier. `missing` (16,): whether the hand is missing in the slot's frame.
    """
    # PUBLISHED: it records slot + 1 as missing. The slot itself keeps the whole picture; the next
    # slot, with or without a hand, shows the nearest unrecorded slot; 16 is out of range.
    recorded = np.concatenate([[False], missing[:-1]])
    return nearest_seen(~recorded[:, None])[:, 0]


def _published(
    centres: Floats, sides: Floats, arm_visible: Flags, width: int, height: int
) -> HandBoxes:
    """Boxes from centres (T, 2, 2), sides (T,) and visible arms (T, 2)."""
    # PUBLISHED: a missing shoulder counts as the point (0, 0).
    half = (sides // 2)[:, None, None]
    size = np.array([width, height])
    start = np.maximum(np.trunc(centres - half), 0)
    end = np.minimum(np.trunc(centres + half), size)
    missing = ~arm_visible | (end <= start).any(axis=-1)
    boxes = np.concatenate([start, end], axis=-1)
    boxes = np.where(missing[..., None], [0, 0, width, height], boxes).astype(np.int32)
    return HandBoxes(boxes, missing, imputed=np.zeros_like(missing))


def _corrected(
    centres: Floats, sides: Floats, arm_visible: Flags, shoulders_visible: Flags
) -> HandBoxes:
    """Boxes from centres (T, 2, 2), sides (T,), visible arms (T, 2) and shoulders (T,)."""
    # Coinciding shoulders, of a signer seen from the side, give no size.
    shoulders_visible = shoulders_visible & (sides >= 1)
    source = nearest_seen(arm_visible)  # (T, 2)
    side_source = nearest_seen(shoulders_visible[:, None])[:, 0][source]
    side = np.rint(np.minimum(sides, FURTHEST_PX))[side_source][..., None]  # (T, 2, 1)
    centre = np.take_along_axis(centres, source[..., None], axis=0)
    # Pixel i spans i - 0.5 to i + 0.5, so the centre of the box lies 0.5 after its coordinate.
    start = np.rint(np.clip(centre + 0.5 - side / 2, -FURTHEST_PX, FURTHEST_PX))
    possible = arm_visible.any(axis=0) & shoulders_visible.any()
    missing = ~np.broadcast_to(possible, arm_visible.shape)
    boxes = np.where(missing[..., None], 0, np.concatenate([start, start + side], axis=-1))
    moved = (source != np.arange(len(arm_visible))[:, None]) | (side_source != source)
    return HandBoxes(boxes.astype(np.int32), missing, imputed=moved & ~missing)


def _scaled(inside: slice, start: int, end: int, size: int) -> slice:
    """The pixels that `inside` covers when start..end is resized to `size` pixels."""
    scale = size / (end - start)
    return slice(round((inside.start - start) * scale), round((inside.stop - start) * scale))


def _middle(inside: Picture, size: int) -> Picture:
    """The central square of a picture whose shorter side is resized to `size`."""
    height, width = inside.shape[:2]
    # Only the middle of a sliver is visible; enlarged whole it might not fit in memory.
    most = LONGEST_SLIVER * min(height, width)
    if max(height, width) > most:
        top, left = max(height - most, 0) // 2, max(width - most, 0) // 2
        inside = inside[top : top + most, left : left + most]
        height, width = inside.shape[:2]
    # ASSUME: the longer side is truncated to whole pixels, as in torchvision.
    shorter = min(height, width)
    shape = (size * width // shorter, size * height // shorter)
    resized = cv2.resize(inside, shape, interpolation=cv2.INTER_LINEAR)
    left, top = (round((side - size) / 2) for side in shape)
    return np.asarray(resized[top : top + size, left : left + size], dtype=np.uint8)
