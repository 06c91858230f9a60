"""Pictures of features and the sheet they are laid out on: arrays in, RGB uint8 arrays out.

The signer's left is blue and the right orange, as in all colours here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.features.heatmaps import HEATMAP_KEYPOINTS
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

Picture = NDArray[np.uint8]
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
"""What is drawn as lines of the 133 keypoints: shoulders, arms, fingers."""

_GAP = 4
_MARGIN = 104
_LINE = 16
_FURTHEST_PX = 1 << 14  # what OpenCV draws to lies within 16 bits


def flow_colours(flow: NDArray[np.floating], largest_px: float) -> Picture:
    """Colours (H, W, 3) of flow (H, W, 2) in px, x to the right and y down.

    At rest is white. Hue is the direction: right red, down yellow-green, left cyan, up violet.
    Saturation is the magnitude, full from `largest_px` on.
    """
    x, y = flow[..., 0].astype(np.float32), flow[..., 1].astype(np.float32)
    hue = np.degrees(np.arctan2(y, x)) % 360
    saturation = np.clip(np.hypot(x, y) / largest_px, 0, 1)
    hsv = np.stack([hue, saturation, np.ones_like(hue)], axis=-1).astype(np.float32)
    return np.rint(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)).astype(np.uint8)


def colour_wheel(size: int) -> Picture:
    """The legend (size, size, 3) of `flow_colours`: each point has the colour of its place."""
    place = (np.arange(size, dtype=np.float32) + 0.5) / (size / 2) - 1
    flow = np.stack(np.meshgrid(place, place), axis=-1)
    flow[np.hypot(flow[..., 0], flow[..., 1]) > 1] = 0
    return flow_colours(flow, 1.0)


def draw_boxes(
    picture: Picture, boxes: NDArray[np.integer], colours: Sequence[Colour], thickness: int = 0
) -> Picture:
    """The picture with the outline of boxes (n, 4) x0, y0, x1, y1, ends exclusive.

    Lines lie inside the box and are `thickness` px wide, or as suits the picture. What leaves the
    picture is not drawn, an empty box not at all.
    """
    picture = picture.copy()
    wide = thickness or _thickness(picture)
    for box, colour in zip(boxes, colours, strict=True):
        x0, y0, x1, y1 = (int(edge) for edge in box)
        before = picture.copy()
        picture[_part(x0, y0, x1, y1)] = colour
        inside = _part(x0 + wide, y0 + wide, x1 - wide, y1 - wide)
        picture[inside] = before[inside]
    return picture


def draw_skeleton(picture: Picture, keypoints: NDArray[np.floating]) -> Picture:
    """The picture with keypoints (133, 3): `BONES` as lines, the face as dots.

    A keypoint of score 0 is absent; a line is pale where an end has a score below a half.
    """
    picture = picture.copy()
    wide, seen = _thickness(picture), keypoints[:, 2] > 0
    for a, b, colour in BONES:
        if seen[a] and seen[b]:
            sure = min(keypoints[a, 2], keypoints[b, 2]) >= 0.5
            fingers = a >= LEFT_HAND[0]
            shade = colour if sure else tuple((c + 2 * 255) // 3 for c in colour)
            ends = _point(keypoints[a]), _point(keypoints[b])
            cv2.line(picture, *ends, shade, max(1, wide // 2) if fingers else wide, cv2.LINE_AA)
    for dot in (0, *FACE):
        if seen[dot]:
            cv2.circle(picture, _point(keypoints[dot]), max(1, wide // 2), MIDDLE, cv2.FILLED)
    return picture


def draw_steps(
    picture: Picture,
    keypoints: NDArray[np.floating],
    pose_flow: NDArray[np.floating],
    *,
    fidelity: Fidelity,
) -> Picture:
    """The picture with pose flow (106,) as arrows, at the keypoints (133, 3) of the frame.

    An arrow is as long as the step in the picture, by the head of this frame. `corrected`: it ends
    at the keypoint, the step being that from the frame before; `published`: it starts there.
    Upper neck and head top have no keypoint and no arrow.
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
    """Maps (33, 24, 24) over the grey picture: the largest of left, right and other keypoints.

    The picture becomes the square the maps are of: padded, or with `published` stretched.
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
    shown = 0.5 * grey.astype(np.float32)
    colours = [_side_colour(keypoint) for keypoint in HEATMAP_KEYPOINTS]
    for colour in (MIDDLE, LEFT, RIGHT):
        chosen = [c == colour for c in colours]
        # Cells, not a blur: what the network sees.
        peak = cv2.resize(maps[chosen].max(axis=0), (side, side), interpolation=cv2.INTER_NEAREST)
        share = peak[..., None].astype(np.float32) / 255
        shown = (1 - share) * shown + share * np.array(colour, np.float32)
    return np.asarray(np.rint(shown), np.uint8)


@dataclass(frozen=True)
class Row:
    """A row of a sheet: its label, a picture a column (None: nothing there), a legend."""

    label: str
    pictures: Sequence[Picture | None]
    legend: Picture | None = None


def moments(frames: int, columns: int) -> list[int]:
    """At most `columns` frames of a clip, evenly spaced: the middles of as many equal parts."""
    columns = min(columns, frames)
    return [(2 * i + 1) * frames // (2 * columns) for i in range(columns)]


def lay_out(
    rows: Sequence[Row], titles: Sequence[str], *, heading: str = "", tile_px: int = 192
) -> Picture:
    """Rows of pictures under their titles, labels and legends in the margin.

    Pictures, RGB (H, W, 3) or grey (H, W) of any size, are brought to a width of `tile_px`, or to
    that height where they are upright. ValueError when a row has not a picture a title.
    """
    for row in rows:
        if len(row.pictures) != len(titles):
            raise ValueError(
                f"row {row.label!r} has {len(row.pictures)} pictures, not {len(titles)}"
            )
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
    """The picture as RGB, its longer side `tile_px`."""
    rgb = picture[..., None].repeat(3, axis=-1) if picture.ndim == 2 else picture
    scale = tile_px / max(rgb.shape[:2])
    shape = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(rgb, shape, interpolation=method), np.uint8)


def _write(onto: Picture, text: str, left: int, line: int) -> None:
    place = (left, (line + 1) * _LINE - 4)
    cv2.putText(onto, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, INK, 1, cv2.LINE_AA)


def _part(x0: int, y0: int, x1: int, y1: int) -> tuple[slice, slice]:
    """Rows and columns of a box; indices under 0 would count from the other end."""
    return slice(max(y0, 0), max(y1, 0)), slice(max(x0, 0), max(x1, 0))


def _thickness(picture: Picture) -> int:
    longer = max(int(length) for length in picture.shape[:2])
    return max(1, round(longer / 170))


def _point(place: NDArray[np.floating]) -> tuple[int, int]:
    x, y = np.clip(np.rint(place[:2]), -_FURTHEST_PX, _FURTHEST_PX)
    return int(x), int(y)


def _side_colour(keypoint: int) -> Colour:
    """Colour of an arm's or hand's side, else the middle's."""
    if keypoint in LEFT_HAND or keypoint in (5, 7, 9):
        return LEFT
    return RIGHT if keypoint in RIGHT_HAND or keypoint in (6, 8, 10) else MIDDLE
