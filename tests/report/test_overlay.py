"""Clips with drawings and notes, by hand-checked pixels."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from slr_pipeline.io.verified import Verified
from slr_pipeline.io.video import probe, read_frames
from slr_pipeline.io.video_writer import write_video
from slr_pipeline.report.drawing import LEFT, RIGHT
from slr_pipeline.report.overlay import Note, write_overlay

GREY = 120
NOBODY = np.zeros((133, 3), np.float32)


def drawn(
    folder: Path, notes: list[str], width: int = 320, height: int = 240, boxes: int = 0
) -> np.ndarray:
    """First frame of a grey clip with notes; boxes are 20 px wide, or none."""
    source, out = folder / "grey.mp4", folder / "drawn.mp4"
    grey = np.full((height, width, 3), GREY, np.uint8)
    write_video(source, [grey] * 3, width=width, height=height, fps=25)
    row = Verified("grey", str(source), "", "", 3, width, height, 25.0)
    pair = np.array([[40, 60, 60, 80], [100, 60, 120, 80]]) * boxes
    points = np.stack([NOBODY] * 3)
    write_overlay(out, row, points, np.stack([pair] * 3), [Note(text) for text in notes])
    assert probe(out) == probe(source)
    return next(read_frames(out)).astype(int)


def test_boxes_have_the_colours_of_their_sides(tmp_path: Path) -> None:
    frame = drawn(tmp_path, [], boxes=1)
    for left, colour in ((40, LEFT), (100, RIGHT)):
        # 4:2:0 video has one colour per four pixels.
        assert np.abs(frame[60:62, left : left + 20] - colour).mean() < 40
        assert np.abs(frame[64:76, left + 6 : left + 14] - GREY).max() < 12
    assert np.abs(frame[90:] - GREY).max() < 12  # no band without notes


@pytest.mark.parametrize("size", [(320, 240), (64, 48), (64, 640), (1280, 96)])
@pytest.mark.parametrize(
    "notes", [["sign"], ["ağaç", "Straße 日"], ["sign: one of many words", "rgb: another one"]]
)
def test_notes_are_in_a_band_of_the_picture_width(
    tmp_path: Path, size: tuple[int, int], notes: list[str]
) -> None:
    frame = drawn(tmp_path, notes, *size)
    dark = frame[:, :2].mean(axis=(1, 2)) < 0.7 * GREY  # left of the text
    band = int(np.flatnonzero(dark).min())
    assert dark[band:].all()
    assert len(frame) - band <= max(16, 0.15 * len(frame))
    assert np.abs(frame[: band - 3] - GREY).max() < 16
    words = np.flatnonzero((frame[band:].max(axis=-1) > 0.6 * GREY).any(axis=0))
    assert len(words) > 0
    assert words.max() < size[0] - 2  # no text is cut off


@pytest.mark.parametrize("width", [320, 400, 512])
def test_notes_on_a_sign_and_two_unsure_answers_fit(tmp_path: Path, width: int) -> None:
    """The width of a text does not shrink in proportion to its size."""
    parts = (
        "sign: \u2068yükselmek",
        "rgb: unsure: \u2068yükselmek",
        "rgbd: unsure: \u2068alçalmak",
    )
    frame = drawn(tmp_path, [f"{part}\u2069" for part in parts], width, width)
    words = np.flatnonzero((frame[-40:].max(axis=-1) > 1.2 * GREY).any(axis=0))
    assert 0.8 * width < words.max() < width - 2


def test_a_video_of_odd_sides_keeps_its_pixels_and_rate(tmp_path: Path) -> None:
    y, x = np.mgrid[:121, :161]
    ramp = np.stack([x, 2 * y, np.full_like(x, 60)], axis=-1).astype(np.uint8)
    picture = np.asarray(cv2.GaussianBlur(ramp, (5, 5), 0), np.uint8)
    for fps, expected in ((30000 / 1001, 30000 / 1001), (12.5, 12.5), (0.0, 25.0)):
        write_video(tmp_path / "odd.mp4", [picture] * 4, width=161, height=121, fps=fps)
        info = probe(tmp_path / "odd.mp4")
        assert (info.frames, info.width, info.height) == (4, 162, 122)
        assert info.fps == pytest.approx(expected, rel=1e-9)
        frame = list(read_frames(tmp_path / "odd.mp4"))[-1]
        np.testing.assert_allclose(frame[:121, :161].astype(int), picture.astype(int), atol=14)
    with av.open(str(tmp_path / "odd.mp4")) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")


def test_a_video_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def frames():  # type: ignore[no-untyped-def]
        yield np.zeros((32, 32, 3), np.uint8)
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_video(tmp_path / "x.mp4", frames(), width=32, height=32, fps=25)
    assert list(tmp_path.iterdir()) == []
