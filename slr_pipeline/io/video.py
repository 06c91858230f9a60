"""The only reader of videos (PyAV): frames one by one, and the true length and size of a video.

Pictures are as players show them: the display matrix is applied. Pixels are assumed square. A
decoder conceals damage and reports it only in its log: what FFmpeg logs as an error is one here.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import cast

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
"""RGB (H, W, 3) or grey (H, W)."""

MOST_PIXELS = 4096 * 4096
"""Largest picture: a header of a few bytes could request any amount of memory."""

_OPEN_OPTIONS = {
    "max_pixels": str(MOST_PIXELS),
    # A hostile file may be a playlist: it must not open the network or another file.
    "protocol_whitelist": "file",
    "format_whitelist": "mov,matroska,webm,avi,mpeg,mpegts,asf,flv,ogg,nut,m4v,h264,hevc,gif",
}
_HARMLESS = "mmco: unref short failure"
"""h264: a picture to discard is missing, as at the start of a clip cut without re-encoding."""

_UPRIGHT = (1.0, 0.0, 0.0, 1.0)
"""The display matrix of a picture that is stored as it is shown."""

_TOO_LARGE = "exceeds specified max pixel count"

_REPAIR = "copy it again from its source, or re-encode it"

av.logging.set_level(av.logging.ERROR)
av.logging.set_skip_repeated(False)  # else an error hides the same error of the next video


@dataclass(frozen=True)
class VideoInfo:
    """Number of decoded `frames`; `width` and `height` in px as displayed.

    `fps` is the mean frame rate: the one that the container states if its frames keep to it, else
    that of their times; 0.0 for a single frame or frames without times. Frames of a variable rate
    are neither repeated nor dropped.
    """

    frames: int
    width: int
    height: int
    fps: float


def read_frames(path: str | Path, *, most_bits: int | None = None) -> Iterator[Picture]:
    """Frames of a video as RGB (H, W, 3) uint8, decoded lazily one at a time.

    DataError that names the path if the file is missing, empty, not a video, damaged, or has more
    than `most_bits`; damage in the middle is raised when the iteration reaches it.
    """
    with _opened(path) as (container, stream):
        for frame in _decode(container, stream, path, most_bits):
            yield _rgb(frame, path)


def read_grey_frames(path: str | Path) -> Iterator[Picture]:
    """Frames of a depth or grey video as (H, W) uint8 over the full range 0..255.

    The grey of the RGB picture, as in the released code: direct conversion of video levels to grey
    makes one pixel in ten brighter by one. Errors as `read_frames`; DataError for a video of more
    than 8 bits, because its low bits would be lost.
    """
    for picture in read_frames(path, most_bits=8):
        yield np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def probe(path: str | Path, *, grey: bool = False) -> VideoInfo:
    """Frame count, size and frame rate of a video, by decoding every frame.

    Errors as `read_frames`, or as `read_grey_frames` if `grey`.
    """
    times: list[float | None] = []
    size = (0, 0)
    with _opened(path) as (container, stream):
        for frame in _decode(container, stream, path, most_bits=8 if grey else None):
            if not times:
                height, width, _ = _rgb(frame, path).shape
                size = (width, height)
            times.append(frame.time)
        stated = float(stream.average_rate or 0)
    return VideoInfo(len(times), width=size[0], height=size[1], fps=_mean_rate(times, stated))


def _mean_rate(times: list[float | None], stated: float) -> float:
    """Mean frames per second of frames at these times in s, in a container that states a rate."""
    steps = len(times) - 1
    first, last = times[0], times[-1]
    seconds = 0.0 if first is None or last is None else last - first
    # Times may be rounded to ms: half a frame is no difference.
    if seconds <= 0 or abs(seconds * stated - steps) < 0.5:
        return stated
    return steps / seconds


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits. DataError if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _rgb(frame: av.VideoFrame, path: str | Path) -> Picture:
    """The frame as shown (H, W, 3)."""
    try:
        # One thread: the default starts one per core for each frame, and is slower.
        picture = np.asarray(frame.to_ndarray(format="rgb24", threads=1), dtype=np.uint8)
    except (av.error.FFmpegError, ValueError) as error:
        raise DataError(
            f"{path}: {frame.format.name} cannot be converted to RGB ({_reason(error)}); encode "
            "it as yuv420p"
        ) from error
    return _as_shown(picture, frame, path)


def _decode(
    container: InputContainer, stream: VideoStream, path: str | Path, most_bits: int | None
) -> Iterator[av.VideoFrame]:
    """All frames of the stream in display order. DataError for a damaged video."""
    # Faster than AUTO at 512 x 512, and many jobs run at once.
    stream.codec_context.thread_count = 1
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
    # Only the index of mp4 and its relatives counts packets; others estimate.
    if "mp4" in container.format.name and packets < stream.frames:
        raise DataError(f"{path}: ends after {packets} of {stream.frames} frames; {_REPAIR}")
    if not frames:
        raise DataError(f"{path}: has no frames; {_REPAIR}")


def _next_decoded(
    demuxed: Iterator["av.Packet[VideoStream]"], damaged: str
) -> tuple["av.Packet[VideoStream] | None", list[av.VideoFrame]]:
    """The next packet and the frames it completes; None at the end.

    The log is captured per packet, because other videos may be decoded in between.
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
    matrix = _display_matrix(frame)
    oriented = f" with display matrix {matrix}" if matrix != _UPRIGHT else ""
    return f"{frame.width}x{frame.height}{oriented}"


def _display_matrix(frame: av.VideoFrame) -> tuple[float, float, float, float]:
    """(a, b, c, d) of ISO/IEC 14496-12, 6.2.2: pixel (x, y) is shown at (ax + cy, bx + dy)."""
    data = cast("bytes | None", frame.side_data.get("DISPLAYMATRIX"))
    if data is None:
        return _UPRIGHT
    a, b, _, c, d = (np.frombuffer(data, np.int32)[:5] / 65536).tolist()
    return (a, b, c, d) if a or b or c or d else _UPRIGHT  # players ignore a matrix of zeros


def _as_shown(picture: Picture, frame: av.VideoFrame, path: str | Path) -> Picture:
    """The picture turned and mirrored by its display matrix."""
    a, b, c, d = _display_matrix(frame)
    if abs(b) > abs(a):
        picture = picture.transpose(1, 0, 2)
        a, b, c, d = c, d, a, b
    if max(abs(b), abs(c)) >= 0.02 * min(abs(a), abs(d)):  # players round up to a degree
        raise DataError(
            f"{path}: its display matrix is no turn by 90, 180 or 270 degrees and no mirroring; "
            "encode it upright"
        )
    return np.ascontiguousarray(picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


@contextmanager
def _opened(path: str | Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Yield the open container and its first video stream."""
    file = Path(path)
    if not file.is_file():
        raise DataError(f"{path}: there is no such file; check the path")
    if file.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty; copy it again from its source")
    with av.logging.Capture() as logged:
        try:
            with _local_copy(file) as local:
                container = av.open(
                    f"file:{local}", options=_OPEN_OPTIONS, metadata_errors="backslashreplace"
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
        # Errors of the container only: decoders log the errors of the first packets again later.
        damage = _first_error(entry for entry in logged if entry[1] == container.format.name)
        if damage:
            raise DataError(f"{path}: is damaged ({damage}); {_REPAIR}")
        yield container, _video_stream(container, path)


def _video_stream(container: InputContainer, path: str | Path) -> VideoStream:
    # The cover picture of a sound file is a video stream of one frame.
    streams = [s for s in container.streams.video if Disposition.attached_pic not in s.disposition]
    if not streams:
        raise DataError(f"{path}: has no video stream; give a file with pictures in it")
    if streams[0].codec_context is None:
        raise DataError(f"{path}: its codec is unknown; {_REPAIR}")
    return streams[0]


@contextmanager
def _local_copy(file: Path) -> Iterator[Path]:
    """Yield the file, or its copy in the folder that the config calls `scratch`.

    The copy is deleted at the end of the block; a reader that has it open keeps access.
    """
    scratch = os.path.expandvars(os.environ.get("SLR_SCRATCH", ""))
    if not scratch:
        yield file
        return
    try:
        copy = NamedTemporaryFile(dir=scratch, prefix="slr-", suffix=file.suffix)  # noqa: SIM115
    except OSError as error:
        raise ConfigError(
            f"scratch: cannot create a file in {scratch} ({error.strerror}); name another folder, "
            "or null to read videos in place"
        ) from error
    with copy:
        try:
            shutil.copyfile(file, copy.name)
        except OSError as error:
            raise ConfigError(
                f"scratch: {file} cannot be copied to {scratch} ({error.strerror}); free some "
                "space there, or set null to read videos in place"
            ) from error
        yield Path(copy.name)


def _reason(error: Exception) -> str:
    """The library's reason, without number and function name."""
    return getattr(error, "strerror", None) or str(error)


def _first_error(logged: Iterable[tuple[int, str, str]]) -> str:
    """Source and message of the first error that FFmpeg logged; empty if none."""
    for _, name, message in logged:
        if not message.startswith(_HARMLESS):
            return f"{name.split(',')[0]}: {' '.join(message.split())}"
    return ""
