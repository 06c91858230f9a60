"""Writes videos that any player shows: H.264 in mp4."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from slr_pipeline.io.atomic import atomic_write
from slr_pipeline.io.video import Picture, probe

USUAL_FPS = 25
"""Frame rate of a video whose container has none."""

CRF = 18
"""Constant rate factor of libx264: visually close to lossless."""


def write_video(
    path: str | Path, frames: Iterable[Picture], *, width: int, height: int, fps: float
) -> None:
    """Write RGB pictures (height, width, 3) as an mp4 atomically.

    H.264 needs even sides: an odd side grows by a copy of its last row or column.
    """
    # 29.97 is 30000 / 1001.
    rate = Fraction(fps).limit_denominator(1001) if fps > 0 else Fraction(USUAL_FPS)
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with (
        atomic_write(path, probe) as partial,
        av.open(str(partial), "w", format="mp4", options=options) as container,
    ):
        stream = container.add_stream("libx264", rate=rate, options={"crf": str(CRF)})
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        # Without tags some players assume BT.709 for large videos.
        stream.codec_context.colorspace = Colorspace.ITU601
        stream.codec_context.color_range = ColorRange.MPEG
        for number, picture in enumerate(frames):
            even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            frame = av.VideoFrame.from_ndarray(even, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
