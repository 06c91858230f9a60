"""Draw features onto frames, and lay out frames as a sheet: arrays in, RGB uint8 arrays out.

The signer's left side is blue, the right side orange.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.features.heatmaps import HEATMAP_KEYPOINTS
from slr_pipeline.io.video import Picture
from slr_pipeline.report.lettering import draw_text
from slr_pipeline.schema import Fidelity
from slr_pipeline.skeleton import (
    BODY_135_FROM_133,
    EARS,
    FACE,
    HEAD_TOP_ABOVE_EARS,
    LEFT_HAND,
    POSE_FLOW_KEYPOINTS,
    RIGHT_HAND,
    SHOULDERS,
    UPPER_NECK_ABOVE_EARS,
)

Colour = tuple[int, int, int]

LEFT: Colour = (40, 130, 255)
RIGHT: Colour = (255, 130, 0)
MIDDLE: Colour = (60, 200, 60)
PAPER: Colour = (255, 255, 255)
BLANK: Colour = (225, 225, 225)
INK: Colour = (30, 30, 30)

_ARM_BONES = ((5, 6, MIDDLE), (5, 7, LEFT), (7, 9, LEFT), (6, 8, RIGHT), (8, 10, RIGHT))
# Root to the base of each finger, then joint to joint.
_FINGER_BONES = tuple((joint if joint % 4 else 0, joint + 1) for joint in range(20))
BONES: tuple[tuple[int, int, Colour], ...] = (
    *_ARM_BONES,
    *((LEFT_HAND[a], LEFT_HAND[b], LEFT) for a, b in _FINGER_BONES),
    *((RIGHT_HAND[a], RIGHT_HAND[b], RIGHT) for a, b in _FINGER_BONES),
)
"""Lines between the 133 keypoints: shoulders, arms, fingers."""

_GAP = 4
_MARGIN = 104
_LINE = 16
_TEXT_PX = 11
_FURTHEST_PX = 1 << 14  # OpenCV draws within 16 bits


def flow_colours(flow: NDArray[np.floating], largest_px: float) -> Picture:
    """Colour flow (H, W, 2) in px, x to the right and y down, as (H, W, 3).

    Hue is the direction: right red, down yellow-green, left cyan, up violet. Saturation is the
    magnitude, full from `largest_px` on; no motion is white.
    """
    x, y = flow[..., 0].astype(np.float32), flow[..., 1].astype(np.float32)
    hue = np.degrees(np.arctan2(y, x)) % 360
    saturation = np.clip(np.hypot(x, y) / largest_px, 0, 1)
    hsv = np.stack([hue, saturation, np.ones_like(hue)], axis=-1).astype(np.float32)
    return np.rint(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)).astype(np.uint8)


def colour_wheel(size: int) -> Picture:
    """Legend (size, size, 3) of `flow_colours`: each point has the colour of its direction."""
    place = (np.arange(size, dtype=np.float32) + 0.5) / (size / 2) - 1
    flow = np.stack(np.meshgrid(place, place), axis=-1)
    flow[np.hypot(flow[..., 0], flow[..., 1]) > 1] = 0
    return flow_colours(flow, 1.0)


def draw_boxes(
    picture: Picture, boxes: NDArray[np.integer], colours: Sequence[Colour], thickness: int = 0
) -> Picture:
    """Draw the outlines of boxes (n, 4) x0, y0, x1, y1, ends exclusive.

    Lines are inside the box and `thickness` px wide (0: by picture size). They are clipped to the
    picture.
    """
    picture = picture.copy()
    width = thickness or _thickness(picture)
    for box, colour in zip(boxes, colours, strict=True):
        x0, y0, x1, y1 = (int(edge) for edge in box)
        before = picture.copy()
        picture[_part(x0, y0, x1, y1)] = colour
        inside = _part(x0 + width, y0 + width, x1 - width, y1 - width)
        picture[inside] = before[inside]
    return picture


def draw_skeleton(picture: Picture, keypoints: NDArray[np.floating]) -> Picture:
    """Draw keypoints (133, 3): `BONES` as lines, the face as dots.

    Keypoints of score 0 are missing; a line is pale if one end has a score below 0.5.
    """
    picture = picture.copy()
    width, visible = _thickness(picture), keypoints[:, 2] > 0
    for a, b, colour in BONES:
        if visible[a] and visible[b]:
            certain = min(keypoints[a, 2], keypoints[b, 2]) >= 0.5
            fingers = a >= LEFT_HAND[0]
            shade = colour if certain else tuple((c + 2 * 255) // 3 for c in colour)
            ends = _point(keypoints[a]), _point(keypoints[b])
            cv2.line(picture, *ends, shade, max(1, width // 2) if fingers else width, cv2.LINE_AA)
    for dot in (0, *FACE):
        if visible[dot]:
            cv2.circle(picture, _point(keypoints[dot]), max(1, width // 2), MIDDLE, cv2.FILLED)
    return picture


def draw_steps(
    picture: Picture,
    keypoints: NDArray[np.floating],
    pose_flow: NDArray[np.floating],
    *,
    fidelity: Fidelity,
) -> Picture:
    """Draw pose flow (106,) as arrows at the keypoints (133, 3) of the frame.

    Lengths are scaled by the head size of this frame. `corrected`: the step is from the previous
    frame, so the arrow ends at the keypoint; `published`: it starts there. Upper neck and head top
    have no keypoint and no arrow.
    """
    picture = picture.copy()
    if not (keypoints[list(EARS + SHOULDERS), 2] > 0).all():
        return picture
    ears, shoulders = (keypoints[list(pair), :2].mean(axis=0) for pair in (EARS, SHOULDERS))
    head_px = (HEAD_TOP_ABOVE_EARS - UPPER_NECK_ABOVE_EARS) * np.linalg.norm(ears - shoulders)
    angle_rad, heads = np.pi * pose_flow[0::2], pose_flow[1::2]
    steps = np.stack([np.cos(angle_rad), np.sin(angle_rad)], axis=-1) * (heads * head_px)[:, None]
    for index, step in zip(POSE_FLOW_KEYPOINTS, steps, strict=True):
        point = keypoints[BODY_135_FROM_133[index]]
        if BODY_135_FROM_133[index] < 0 or point[2] <= 0 or np.linalg.norm(step) < 1:
            continue
        start = point[:2] if fidelity == "published" else point[:2] - step
        colour = _side_colour(BODY_135_FROM_133[index])
        ends = _point(start), _point(start + step)
        cv2.arrowedLine(picture, *ends, colour, _thickness(picture), cv2.LINE_AA, tipLength=0.3)
    return picture


def draw_heatmaps(
    picture: Picture, maps: NDArray[np.uint8], *, fidelity: Fidelity = "corrected"
) -> Picture:
    """Draw heat-maps (33, 24, 24) over the grey picture: maxima of left, right, other keypoints.

    The picture becomes square like the maps: padded, or stretched with `published`.
    """
    height, width = picture.shape[:2]
    side = max(height, width)
    if fidelity == "published":
        picture = np.asarray(cv2.resize(picture, (side, side)), np.uint8)
    else:
        top, left = (side - height) // 2, (side - width) // 2
        edges = (top, side - height - top, left, side - width - left)
        picture = np.asarray(cv2.copyMakeBorder(picture, *edges, cv2.BORDER_CONSTANT), np.uint8)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None].repeat(3, axis=-1)
    blended = 0.5 * grey.astype(np.float32)
    colours = [_side_colour(keypoint) for keypoint in HEATMAP_KEYPOINTS]
    for colour in (MIDDLE, LEFT, RIGHT):
        chosen = [c == colour for c in colours]
        # Nearest: shows the cells that the network sees.
        peak = cv2.resize(maps[chosen].max(axis=0), (side, side), interpolation=cv2.INTER_NEAREST)
        share = peak[..., None].astype(np.float32) / 255
        blended = (1 - share) * blended + share * np.array(colour, np.float32)
    return np.asarray(np.rint(blended), np.uint8)


@dataclass(frozen=True)
class Row:
    """A row of a sheet: label, one picture per column (None: empty), legend."""

    label: str
    pictures: Sequence[Picture | None]
    legend: Picture | None = None


def moments(frames: int, columns: int) -> list[int]:
    """At most `columns` evenly spaced frames of a clip: the middles of equal parts."""
    columns = min(columns, frames)
    return [(2 * i + 1) * frames // (2 * columns) for i in range(columns)]


def lay_out(
    rows: Sequence[Row], titles: Sequence[str], *, heading: str = "", tile_px: int = 192
) -> Picture:
    """Lay out rows of pictures under column titles, with labels and legends in the margin.

    Pictures, RGB (H, W, 3) or grey (H, W), are scaled to a longer side of `tile_px`.
    """
    width = _MARGIN + len(titles) * (tile_px + _GAP)
    head = np.full((2 * _LINE + _GAP, width, 3), PAPER, np.uint8)
    _write(head, heading, 2, 0)
    for column, title in enumerate(titles):
        _write(head, title, _MARGIN + column * (tile_px + _GAP), 1)
    return np.concatenate([head, *(_band(row, tile_px, width) for row in rows)])


def _band(row: Row, tile_px: int, width: int) -> Picture:
    """One row of the sheet, (height, width, 3)."""
    tiles = [None if p is None else fitted(p, tile_px) for p in row.pictures]
    lines = row.label.split("\n")
    legend_px = 0 if row.legend is None else row.legend.shape[0] + _GAP
    needed = len(lines) * _LINE + legend_px
    height = max([needed, *(tile.shape[0] for tile in tiles if tile is not None)])
    band = np.full((height + _GAP, width, 3), PAPER, np.uint8)
    for number, line in enumerate(lines):
        _write(band, line, 2, number)
    if row.legend is not None:
        top = len(lines) * _LINE + _GAP
        band[top : top + row.legend.shape[0], 2 : 2 + row.legend.shape[1]] = row.legend
    for column, tile in enumerate(tiles):
        left = _MARGIN + column * (tile_px + _GAP)
        band[:height, left : left + tile_px] = BLANK
        if tile is not None:
            left += (tile_px - tile.shape[1]) // 2
            band[: tile.shape[0], left : left + tile.shape[1]] = tile
    return band


def fitted(picture: NDArray[Any], tile_px: int) -> Picture:
    """The picture as RGB, scaled to a longer side of `tile_px`."""
    rgb = picture[..., None].repeat(3, axis=-1) if picture.ndim == 2 else picture
    scale = tile_px / max(rgb.shape[:2])
    shape = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(rgb, shape, interpolation=method), np.uint8)


def _write(onto: Picture, text: str, left: int, line: int) -> None:
    ink, above = draw_text(text, _TEXT_PX)
    top = max(0, (line + 1) * _LINE - 4 - above)
    place = onto[top : top + len(ink), left : left + ink.shape[1]]
    share = ink[: place.shape[0], : place.shape[1], None].astype(np.float32) / 255
    place[:] = np.rint((1 - share) * place + share * np.array(INK, np.float32))


def _part(x0: int, y0: int, x1: int, y1: int) -> tuple[slice, slice]:
    """Rows and columns of a box; negative indices would count from the other end."""
    return slice(max(y0, 0), max(y1, 0)), slice(max(x0, 0), max(x1, 0))


def _thickness(picture: Picture) -> int:
    longer = max(int(length) for length in picture.shape[:2])
    return max(1, round(longer / 170))


def _point(place: NDArray[np.floating]) -> tuple[int, int]:
    x, y = np.clip(np.rint(place[:2]), -_FURTHEST_PX, _FURTHEST_PX)
    return int(x), int(y)


def _side_colour(keypoint: int) -> Colour:
    """Colour of the body side of a keypoint."""
    if keypoint in LEFT_HAND or keypoint in (5, 7, 9):
        return LEFT
    return RIGHT if keypoint in RIGHT_HAND or keypoint in (6, 8, 10) else MIDDLE
