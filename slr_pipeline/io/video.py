"""The only reader of videos (PyAV): streams of frames, and what a video really holds.

Pictures are in display orientation: rotation metadata is applied. Pixels are taken as square.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import av
import av.error
import cv2
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from slr_pipeline.errors import ConfigError, DataError

Picture = NDArray[np.uint8]

_OPEN_OPTIONS = {
    # A hostile file may be a playlist: neither a network place nor another file may be opened.
    "protocol_whitelist": "file",
    "format_whitelist": "mov,matroska,webm,avi,mpeg,mpegts,asf,flv,ogg,nut,m4v,h264,hevc,gif",
}


@dataclass(frozen=True)
class VideoInfo:
    """What a video really holds: decoded `frames`; `width` and `height` in px as displayed.

    `fps` is the mean frame rate the container states; 0.0 where it states none.
    """

    frames: int
    width: int
    height: int
    fps: float


def read_frames(path: str | Path) -> Iterator[Picture]:
    """Frames of a video as RGB (H, W, 3) uint8, decoded one at a time as they are asked for.

    A DataError names the path when the file is missing, empty, not a video, or damaged; damage in
    the middle is raised when the iteration comes to it.
    """
    return _pictures(path)


def read_grey_frames(path: str | Path) -> Iterator[Picture]:
    """Frames of a depth or grey video as (H, W) uint8 over the full range 0..255.

    The grey of the RGB picture, as every reader of the released code sees it: on the direct way
    from video levels to grey, one pixel in ten would be brighter by one. Errors as `read_frames`; a
    video of more than 8 bits is a DataError, because its low bits would be lost.
    """
    for picture in _pictures(path, most_bits=8):
        yield np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def probe(path: str | Path) -> VideoInfo:
    """Count, size and frame rate of a video, found by decoding every frame.

    Errors as `read_frames`; in addition a video without a single frame is a DataError there too.
    """
    frames, size = 0, (0, 0)
    with _opened(path) as container:
        for frame in _decode(container, path):
            if not frames:
                turned = _quarter_turns(frame) % 2
                size = (frame.height, frame.width) if turned else (frame.width, frame.height)
            frames += 1
        fps = container.streams.video[0].average_rate
    return VideoInfo(frames, width=size[0], height=size[1], fps=float(fps) if fps else 0.0)


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits; a DataError where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _pictures(path: str | Path, most_bits: int | None = None) -> Iterator[Picture]:
    with _opened(path) as container:
        for frame in _decode(container, path):
            if most_bits is not None and frame.format.components[0].bits > most_bits:
                raise DataError(
                    f"{path}: {frame.format.name} has more than {most_bits} bits a pixel; "
                    "give depth as an 8-bit grey video"
                )
            # One thread: the default starts one per core, for each frame anew, and is slower.
            picture = np.asarray(frame.to_ndarray(format="rgb24", threads=1), dtype=np.uint8)
            turns = _quarter_turns(frame)
            yield np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


def _decode(container: InputContainer, path: str | Path) -> Iterator[av.VideoFrame]:
    """Every frame of the first video stream, in order of display, or a DataError."""
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1  # faster than AUTO at 512 x 512, and jobs are many
    packets = frames = 0
    size = None
    try:
        for packet in container.demux(stream):
            packets += packet.size > 0
            for frame in packet.decode():
                size = size or (frame.width, frame.height)
                _check_frame(path, frame, frames, size)
                yield frame
                frames += 1
    except av.error.FFmpegError as error:
        raise DataError(
            f"{path}: cannot be decoded after {frames} frames ({_reason(error)}); "
            "copy it again from its source"
        ) from error
    # Only this family counts its packets in its index; others guess.
    if "mp4" in container.format.name and packets < stream.frames:
        raise DataError(
            f"{path}: ends after {packets} of {stream.frames} frames; copy it again from its source"
        )
    if not frames:
        raise DataError(f"{path}: has no frames; copy it again from its source")


def _check_frame(path: str | Path, frame: av.VideoFrame, index: int, size: tuple[int, int]) -> None:
    if frame.is_corrupt:
        raise DataError(f"{path}: frame {index} is damaged; copy it again from its source")
    if (frame.width, frame.height) != size:
        raise DataError(
            f"{path}: frame {index} is {frame.width}x{frame.height}, the first is "
            f"{size[0]}x{size[1]}; encode the video in one size"
        )


def _opened(path: str | Path) -> InputContainer:
    """The open container, with at least one video stream."""
    file = Path(path)
    if not file.is_file():
        raise DataError(f"{path}: there is no such file; check the path in the sample table")
    if file.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty; copy it again from its source")
    try:
        with _nearby(file) as nearby:
            container = av.open(f"file:{nearby}", options=_OPEN_OPTIONS)
    except av.error.FFmpegError as error:
        raise DataError(
            f"{path}: cannot be opened as a video ({_reason(error)}); copy it again from its source"
        ) from error
    if not container.streams.video:
        container.close()
        raise DataError(f"{path}: has no video stream; give a file with pictures in it")
    return container


@contextmanager
def _nearby(file: Path) -> Iterator[Path]:
    """The file, or its copy in the folder that the config calls `scratch`.

    An open file needs no name: the copy has one within only, so that none outlives its reader.
    """
    scratch = os.path.expandvars(os.environ.get("SLR_SCRATCH", ""))
    if not scratch:
        yield file
        return
    try:
        copy = NamedTemporaryFile(dir=scratch, prefix="slr-", suffix=file.suffix)  # noqa: SIM115
    except OSError as error:
        raise ConfigError(
            f"scratch: no file can be made in {scratch} ({error.strerror}); name another folder, "
            "or null to read videos where they are"
        ) from error
    with copy:
        try:
            shutil.copyfile(file, copy.name)
        except OSError as error:
            raise ConfigError(
                f"scratch: {file} cannot be copied to {scratch} ({error.strerror}); make room "
                "there, or set null to read videos where they are"
            ) from error
        yield Path(copy.name)


def _quarter_turns(frame: av.VideoFrame) -> int:
    """Quarter turns counter-clockwise that bring the frame upright (0..3)."""
    return round(frame.rotation / 90) % 4


def _reason(error: Exception) -> str:
    """The library's reason in a few words, without number and function name."""
    return getattr(error, "strerror", None) or str(error)
