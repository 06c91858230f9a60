"""A clip with its skeleton, hand boxes and answers drawn into its frames."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from slr_pipeline.io.shards import video_frames
from slr_pipeline.io.verified import Verified
from slr_pipeline.io.video_writer import write_video
from slr_pipeline.report.drawing import (
    LEFT,
    RIGHT,
    Colour,
    Picture,
    draw_boxes,
    draw_skeleton,
)

PLAIN: Colour = (255, 255, 255)
GOOD: Colour = (120, 230, 120)
BAD: Colour = (255, 140, 130)

BAND = 0.4
"""Share of the picture's light that is left behind the words."""

FONT = "DejaVuSans.ttf"
"""Comes with matplotlib; it has the letters of most alphabets."""


@dataclass(frozen=True)
class Note:
    """Words at the foot of a clip."""

    text: str
    colour: Colour = PLAIN


def write_overlay(
    out: str | Path,
    row: Verified,
    keypoints: NDArray[np.floating],
    boxes: NDArray[np.integer],
    notes: Sequence[Note],
) -> None:
    """Write the mp4 of a clip with its skeleton, hand boxes and notes, whole or not at all.

    Args:
        out: the mp4; as many frames as the clip, of its rate and size.
        row: of the clip whose colour video is drawn on.
        keypoints: (T, 133, 3).
        boxes: (T, 2, 4) of the left and the right hand.
        notes: what stands at its foot, side by side.

    Raises:
        DataError: the video has changed.
    """
    words = _words(notes, row.width, row.height)

    def drawn() -> Iterator[Picture]:
        for frame, points, pair in zip(video_frames(row, "color"), keypoints, boxes, strict=True):
            yield _with_words(draw_boxes(draw_skeleton(frame, points), pair, (LEFT, RIGHT)), words)

    write_video(out, drawn(), width=row.width, height=row.height, fps=row.fps)


def _with_words(picture: Picture, words: Picture) -> Picture:
    """The picture with a darkened band at its foot that bears the words (h, W, 4)."""
    foot = picture[len(picture) - len(words) :]
    ink = words[..., 3:].astype(np.float32) / 255
    mixed = ink * words[..., :3] + (1 - ink) * BAND * foot
    picture[len(picture) - len(words) :] = np.rint(mixed)
    return picture


def _words(notes: Sequence[Note], width: int, height: int) -> Picture:
    """The notes as RGBA (h, W, 4), as large as suits the picture, and smaller to find room."""
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", FONT)
    size = max(8, round(min(height / 16, width / 20)))
    font = ImageFont.truetype(path, size)
    needed = sum(font.getlength(note.text) + size for note in notes)  # with a gap behind each
    if needed > width:
        font = ImageFont.truetype(path, max(1, int(size * width / needed)))
    band = np.zeros((min(height, round(1.6 * size)) if notes else 0, width, 4), np.uint8)
    left = size / 2
    for note in notes:
        ink = Image.new("L", (width, len(band)))
        ImageDraw.Draw(ink).text((left, len(band) / 2), note.text, 255, font, anchor="lm")
        drawn = np.asarray(ink)
        band[drawn > 0, :3] = note.colour
        band[..., 3] = np.maximum(band[..., 3], drawn)
        left += font.getlength(note.text) + font.size
    return band
