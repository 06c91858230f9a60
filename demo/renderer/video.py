"""Colour and depth videos of the demo. The same frames give the same bytes."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from renderer.scene import SIZE

FRAMES_PER_SECOND = 25
DEPTH_UNITS_PER_M = 60  # as in AUTSL according to SAM-SLR: grey / 60 is metres
COLOUR_CRF, DEPTH_CRF = 26, 18


def depth_to_grey(depth: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Metric depth to 8-bit grey, round(60 * metres); 0 stays 0."""
    return np.clip(np.rint(depth * DEPTH_UNITS_PER_M), 0, 255).astype(np.uint8)


def write_video(path: Path, frames: Iterable[npt.NDArray[np.uint8]], crf: int) -> None:
    """Write H.264 in mp4 from frames (H,W,3) RGB or (H,W) grey of the demo's size.

    With one thread and no timestamps, the same frames and libx264 give the same bytes.
    """
    import av

    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(crf), "preset": "slow", "threads": "1"}
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, FRAMES_PER_SECOND)
        for i, picture in enumerate(frames):
            if picture.ndim == 3:
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            else:
                frame = av.VideoFrame.from_ndarray(_grey_planes(picture), format="yuv420p")
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _grey_planes(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Planes (1.5 H, W) of YUV 4:2:0 that libswscale decodes to `grey` within one level.

    Values are rounded up because libswscale rounds down when it converts video levels 16..235 to
    RGB; its own conversion to YUV would darken all depths by two thirds of a level.
    """
    height, width = grey.shape
    planes = np.full((height * 3 // 2, width), 128, dtype=np.uint8)
    planes[:height] = 16 + np.ceil(grey * (219 / 255)).astype(np.uint8)
    return planes


def read_video(path: Path) -> npt.NDArray[np.uint8]:
    """Read all frames (T,H,W,3) as RGB."""
    import av

    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
