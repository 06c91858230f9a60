"""Draw skeleton, hand boxes and notes into the frames of a clip."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.io.shards import video_frames
from slr_pipeline.io.verified import Verified
from slr_pipeline.io.video import Picture
from slr_pipeline.io.video_writer import write_video
from slr_pipeline.report.drawing import LEFT, RIGHT, Colour, draw_boxes, draw_skeleton
from slr_pipeline.report.lettering import draw_text

PLAIN: Colour = (255, 255, 255)
GOOD: Colour = (120, 230, 120)
BAD: Colour = (255, 140, 130)

BAND = 0.4
"""Brightness factor of the picture behind the notes."""


@dataclass(frozen=True)
class Note:
    """A note at the bottom of a clip."""

    text: str
    colour: Colour = PLAIN


def write_overlay(
    out: str | Path,
    row: Verified,
    keypoints: NDArray[np.floating],
    boxes: NDArray[np.integer],
    notes: Sequence[Note],
) -> None:
    """Write a clip with its skeleton, hand boxes and notes as mp4, atomically.

    Draws on the colour video: `keypoints` (T, 133, 3), `boxes` (T, 2, 4) of the left and right
    hand, and notes side by side at the bottom. DataError if the video has changed.
    """
    band = _notes_band(notes, row.width, row.height)

    def drawn() -> Iterator[Picture]:
        for frame, points, pair in zip(video_frames(row, "color"), keypoints, boxes, strict=True):
            yield _add_notes(draw_boxes(draw_skeleton(frame, points), pair, (LEFT, RIGHT)), band)

    write_video(out, drawn(), width=row.width, height=row.height, fps=row.feature_fps)


def _add_notes(picture: Picture, band: Picture) -> Picture:
    """Blend the notes, RGBA (h, W, 4), into the darkened bottom of the picture."""
    bottom = picture[len(picture) - len(band) :]
    ink = band[..., 3:].astype(np.float32) / 255
    bottom[:] = np.rint(ink * band[..., :3] + (1 - ink) * BAND * bottom)
    return picture


def _notes_band(notes: Sequence[Note], width: int, height: int) -> Picture:
    """Render the notes as RGBA (h, W, 4), in a size that fits the picture."""
    largest = max(8, round(min(height / 16, width / 20)))
    band = np.zeros((min(height, round(1.6 * largest)) if notes else 0, width, 4), np.uint8)

    def needed(size: int) -> int:
        """Width with a gap after each note; it does not shrink in proportion to the size."""
        return sum(draw_text(note.text, size)[0].shape[1] + size for note in notes)

    size = next((size for size in range(largest, 1, -1) if needed(size) <= width), 1)
    left, baseline = size // 2, round((len(band) + 0.7 * size) / 2)
    for note in notes:
        ink, above = draw_text(note.text, size)
        top = baseline - above
        ink = ink[max(0, -top) : len(band) - top, : width - left]
        place = band[max(0, top) :][: len(ink), left : left + ink.shape[1]]
        place[..., :3] = note.colour
        place[..., 3] = ink
        left += ink.shape[1] + size
    return band
