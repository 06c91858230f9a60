"""Walls behind the signers as data: rectangles in the colours of a room."""

import cv2
import numpy as np

from renderer.body import Array
from renderer.paint import srgb_to_linear
from renderer.scene import SIZE
from renderer.signers import Room

Block = tuple[float, float, float, float, float, float]
"""Left, right, top, bottom as shares of the picture; linear colour: accent * 5th + 6th value."""


def _books(k: int, shelf: float) -> list[Block]:
    """One shelf and the books on it; `k` counts the shelves."""
    blocks: list[Block] = [(0.0, 0.22, shelf, shelf + 0.025, 1.0, 0.0)]
    for b in range(5):
        left, height = 0.01 + 0.04 * b, 0.10 + 0.015 * ((b + k) % 3)
        shade = 0.35 + 0.13 * ((3 * b + 2 * k) % 5)
        blocks.append((left, left + 0.034, shelf - height, shelf, shade, 0.04 * b))
    return blocks


def _picture(left: float, top: float) -> list[Block]:
    """A framed picture."""
    return [
        (left, left + 0.15, top, top + 0.20, 0.4, 0.0),
        (left + 0.012, left + 0.138, top + 0.012, top + 0.188, 1.0, 0.25),
        (left + 0.03, left + 0.09, top + 0.08, top + 0.15, 1.0, 0.0),
    ]


BLOCKS: dict[str, list[Block]] = {
    "plain": [],
    "gradient": [],
    "door": [
        (0.80, 1.0, 0.10, 1.0, 1.0, 0.0),
        (0.83, 0.97, 0.15, 0.50, 0.8, 0.0),
        (0.83, 0.97, 0.56, 0.95, 0.8, 0.0),
    ],
    "shelf": [b for k, z in enumerate((0.18, 0.42, 0.66)) for b in _books(k, z)],
    "pictures": [b for at in ((0.06, 0.12), (0.78, 0.08), (0.82, 0.45)) for b in _picture(*at)],
    "panels": [
        *((k / 8, k / 8 + 0.0075, 0.0, 1.0, 1.0, 0.0) for k in range(8)),
        (0.0, 1.0, 0.70, 0.715, 0.8, 0.0),
    ],
    "window": [
        (0.70, 0.98, 0.05, 0.50, 0.0, 0.85),
        (0.715, 0.835, 0.07, 0.48, 1.0, 0.0),
        (0.845, 0.965, 0.07, 0.48, 1.08, 0.0),
    ],
    "board": [(0.02, 0.98, 0.06, 0.62, 0.0, 0.30), (0.035, 0.965, 0.075, 0.605, 1.0, 0.0)],
}


def paint_wall(room: Room) -> Array:
    """The wall (H,W,3) of a room in linear colours."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    wall = np.broadcast_to(srgb_to_linear(room.wall), (SIZE, SIZE, 3)).copy()
    accent = srgb_to_linear(room.accent)
    if room.kind == "gradient":
        wall += (accent - wall) * y[..., None]
    for left, right, top, bottom, factor, offset in BLOCKS[room.kind]:
        area = (x >= left) & (x < right) & (y >= top) & (y < bottom)
        wall[area] = accent * factor + offset
    vignette = 1.0 - 0.18 * ((x - 0.5) ** 2 + (y - 0.45) ** 2)
    grain = 1 + 0.012 * np.sin(x * 190) * np.sin(y * 170 + 5 * x)
    lit = np.clip(wall * (vignette * grain)[..., None], 0, 1)
    soft: Array = cv2.GaussianBlur(lit, (0, 0), 1.2).astype(np.float64)
    return soft
