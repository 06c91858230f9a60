"""The only reader of videos (PyAV): streams of frames, and what a video really holds.

Pictures are in display orientation: rotation metadata is applied. Pixels are taken as square.
A decoder mends what is damaged as best it can and says so in its log only: what FFmpeg logs as an
error is one here.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import av
import av.error
import av.logging
import cv2
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream
from numpy.typing import NDArray

from slr_pipeline.errors import ConfigError, DataError

Picture = NDArray[np.uint8]

MOST_PIXELS = 4096 * 4096
"""Of a picture: a header of a few bytes may ask for any amount of memory."""

_OPEN_OPTIONS = {
    "max_pixels": str(MOST_PIXELS),
    # A hostile file may be a playlist: neither a network place nor another file may be opened.
    "protocol_whitelist": "file",
    "format_whitelist": "mov,matroska,webm,avi,mpeg,mpegts,asf,flv,ogg,nut,m4v,h264,hevc,gif",
}
_HARMLESS = "mmco: unref short failure"
"""h264: a picture to be forgotten is not there. So begins a clip cut without encoding it anew."""

_TOO_LARGE = "exceeds specified max pixel count"

_REPAIR = "copy it again from its source, or encode it anew"

av.logging.set_level(av.logging.ERROR)
av.logging.set_skip_repeated(False)  # else the error of one video hides the same one of the next


@dataclass(frozen=True)
class VideoInfo:
    """What a video really holds: decoded `frames`; `width` and `height` in px as displayed.

    `fps` is the mean frame rate the container states; 0.0 where it states none. At a variable rate
    the frames are what they are: none is doubled or dropped to make time even.
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


def probe(path: str | Path, *, grey: bool = False) -> VideoInfo:
    """Count, size and frame rate of a video, found by decoding every frame.

    Errors as `read_frames`, or `read_grey_frames` where it is to be read so.
    """
    frames, size = 0, (0, 0)
    with _opened(path) as (container, stream):
        for frame in _decode(container, stream, path, most_bits=8 if grey else None):
            if not frames:
                height, width, _ = _rgb(frame, path).shape
                size = (width, height)
            frames += 1
        fps = stream.average_rate
    return VideoInfo(frames, width=size[0], height=size[1], fps=float(fps) if fps else 0.0)


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits; a DataError where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _pictures(path: str | Path, most_bits: int | None = None) -> Iterator[Picture]:
    with _opened(path) as (container, stream):
        for frame in _decode(container, stream, path, most_bits):
            yield _rgb(frame, path)


def _rgb(frame: av.VideoFrame, path: str | Path) -> Picture:
    """The frame upright as (H, W, 3)."""
    try:
        # One thread: the default starts one per core, for each frame anew, and is slower.
        picture = np.asarray(frame.to_ndarray(format="rgb24", threads=1), dtype=np.uint8)
    except (av.error.FFmpegError, ValueError) as error:
        raise DataError(
            f"{path}: {frame.format.name} cannot be turned into RGB ({_reason(error)}); encode it "
            "as yuv420p"
        ) from error
    turns = _quarter_turns(frame)
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


def _decode(
    container: InputContainer, stream: VideoStream, path: str | Path, most_bits: int | None
) -> Iterator[av.VideoFrame]:
    """Every frame of the stream, in order of display, or a DataError."""
    stream.codec_context.thread_count = 1  # faster than AUTO at 512 x 512, and jobs are many
    stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
    demuxed = container.demux(stream)
    packets = frames = 0
    first = ""
    while True:
        packet, decoded = _next_decoded(demuxed, f"{path}: is damaged after {frames} frames")
        if packet is None:
            break
        packets += packet.size > 0
        for frame in decoded:
            first = first or _shape(frame)
            _check_frame(path, frame, frames, first, most_bits)
            yield frame
            frames += 1
    # Only this family counts its packets in its index; others guess.
    if "mp4" in container.format.name and packets < stream.frames:
        raise DataError(f"{path}: ends after {packets} of {stream.frames} frames; {_REPAIR}")
    if not frames:
        raise DataError(f"{path}: has no frames; {_REPAIR}")


def _next_decoded(
    demuxed: Iterator["av.Packet[VideoStream]"], damaged: str
) -> tuple["av.Packet[VideoStream] | None", list[av.VideoFrame]]:
    """The next packet and the frames it completes; no packet at the end.

    Each packet has a log of its own, as others may be decoded before the next of this video.
    """
    with av.logging.Capture() as logged:
        try:
            packet = next(demuxed, None)
            decoded = packet.decode() if packet is not None else []
        except av.error.FFmpegError as error:
            reason = _first_error(logged) or _reason(error)
            raise DataError(f"{damaged} ({reason}); {_REPAIR}") from error
    reason = _first_error(logged)
    if packet is not None and packet.is_corrupt:
        reason = reason or "a packet is broken"
    if reason:
        raise DataError(f"{damaged} ({reason}); {_REPAIR}")
    return packet, decoded


def _check_frame(
    path: str | Path, frame: av.VideoFrame, index: int, first: str, most_bits: int | None
) -> None:
    if frame.is_corrupt:
        raise DataError(f"{path}: frame {index} is damaged; {_REPAIR}")
    if _shape(frame) != first:
        raise DataError(
            f"{path}: frame {index} is {_shape(frame)}, the first is {first}; encode the video in "
            "one size"
        )
    if most_bits is not None and frame.format.components[0].bits > most_bits:
        raise DataError(
            f"{path}: {frame.format.name} has more than {most_bits} bits a pixel; "
            "give depth as an 8-bit grey video"
        )


def _shape(frame: av.VideoFrame) -> str:
    turns = _quarter_turns(frame)
    return f"{frame.width}x{frame.height}" + (f" turned by {90 * turns} degrees" if turns else "")


@contextmanager
def _opened(path: str | Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The open container, and its first video stream."""
    file = Path(path)
    if not file.is_file():
        raise DataError(f"{path}: there is no such file; check the path")
    if file.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty; copy it again from its source")
    with av.logging.Capture() as logged:
        try:
            with _nearby(file) as nearby:
                container = av.open(
                    f"file:{nearby}", options=_OPEN_OPTIONS, metadata_errors="backslashreplace"
                )
        except av.error.FFmpegError as error:
            raise DataError(
                f"{path}: cannot be opened as a video ({_reason(error)}); {_REPAIR}"
            ) from error
    with container:
        if any(_TOO_LARGE in message for _, _, message in logged):
            raise DataError(
                f"{path}: has pictures of more than {MOST_PIXELS} pixels; scale it down"
            )
        # Of the container: what its decoders say of the first packets, they say of them again.
        damage = _first_error(entry for entry in logged if entry[1] == container.format.name)
        if damage:
            raise DataError(f"{path}: is damaged ({damage}); {_REPAIR}")
        yield container, _video_stream(container, path)


def _video_stream(container: InputContainer, path: str | Path) -> VideoStream:
    # The picture on the cover of a sound file is a video of one frame.
    streams = [s for s in container.streams.video if Disposition.attached_pic not in s.disposition]
    if not streams:
        raise DataError(f"{path}: has no video stream; give a file with pictures in it")
    if streams[0].codec_context is None:
        raise DataError(f"{path}: its codec is not known; {_REPAIR}")
    return streams[0]


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


def _first_error(logged: Iterable[tuple[int, str, str]]) -> str:
    """Who logged what, of the first error that FFmpeg logged; empty where it logged none."""
    for _, name, message in logged:
        if not message.startswith(_HARMLESS):
            return f"{name.split(',')[0]}: {' '.join(message.split())}"
    return ""
