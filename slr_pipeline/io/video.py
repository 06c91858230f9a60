"""The only reader of videos (PyAV): frames one by one, and the true length and size of a video.

Frames and pictures are as players show them: edit lists, the display matrix and the shape of the
pixels are applied.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import av
import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import DataError
from slr_pipeline.features.perceptual_hash import LONGEST_S, RATE, THUMBNAIL_PX
from slr_pipeline.io.decoding import MOST_PIXELS, OpenVideo, decode, opened, reason_of
from slr_pipeline.io.landmark_file import PICTURE_PX, drawn, is_landmark_file
from slr_pipeline.io.landmark_file import RATE as LANDMARK_RATE
from slr_pipeline.io.recordings import Recordings
from slr_pipeline.samples.segments import Segment

Picture = NDArray[np.uint8]
"""RGB (H, W, 3) or grey (H, W)."""

Matrix = tuple[float, float, float, float]

_UPRIGHT: Matrix = (1.0, 0.0, 0.0, 1.0)
"""The display matrix of a picture that is stored as it is shown."""

_LUMA_FIRST = frozenset({"yuv420p", "yuvj420p", "yuv422p", "yuv444p", "gray"})
"""Pixel formats whose first plane is the brightness, in 8 bits."""

_SQUARE = 0.01
"""Pixels are square up to this: scaling to even sizes leaves ratios such as 1216:1215."""

_MOST_FPS = 1000
"""A higher rate is an error of the file."""


@dataclass(frozen=True)
class VideoInfo:
    """Number of decoded `frames`; `width` and `height` in px as displayed.

    `fps` is the mean frame rate: the one that the container states if its frames keep to it, else
    that of their times; 0.0 for a single frame or frames without times. Frames of a variable rate
    are neither repeated nor dropped; `times_ms` are their times from the first frame, empty for a
    constant rate.
    """

    frames: int
    width: int
    height: int
    fps: float
    times_ms: tuple[int, ...] = ()


def read_frames(
    path: str | Path,
    segment: Segment | None = None,
    *,
    most_bits: int | None = None,
    recordings: Recordings | None = None,
) -> Iterator[Picture]:
    """Frames of a video or of its segment as RGB (H, W, 3) uint8, decoded lazily one at a time.

    Segments of one file that share `recordings` are read faster, in order of time. The frames of a
    landmark file are drawings.

    DataError that names the path if the file is missing, empty, not a video, damaged, or has more
    than `most_bits`; damage in the middle is raised when the iteration reaches it.
    """
    if is_landmark_file(path):
        if segment is not None:
            raise DataError(f"{path}: landmarks have no times; remove start_s and end_s")
        yield from drawn(path)
        return
    with _reading(path, segment, recordings) as (video, decoded):
        for frame, matrix in _frames(video, decoded, most_bits):
            yield _rgb(frame, matrix, path)


def read_grey_frames(
    path: str | Path, segment: Segment | None = None, *, recordings: Recordings | None = None
) -> Iterator[Picture]:
    """Frames of a depth or grey video as (H, W) uint8 over the full range 0..255.

    The grey of the RGB picture, as in the released code: direct conversion of video levels to grey
    makes one pixel in ten brighter by one. Errors as `read_frames`; DataError for a video of more
    than 8 bits, because its low bits would be lost.
    """
    for picture in read_frames(path, segment, most_bits=8, recordings=recordings):
        yield np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


class Thumbnails:
    """Small grey pictures of a video's first minute, taken while `probe` decodes it."""

    def __init__(self) -> None:
        self._moments: list[int] = []
        self._pictures: list[Picture] = []
        self._matrix = _UPRIGHT

    def add(self, frame: av.VideoFrame, matrix: Matrix, seconds: float) -> None:
        """Add a frame, shown `seconds` after the first, unless its moment is taken or too late."""
        moment = int(seconds * RATE)
        if moment >= LONGEST_S * RATE or (self._moments and moment <= self._moments[-1]):
            return
        grey = frame if frame.format.name in _LUMA_FIRST else frame.reformat(format="gray")
        plane = grey.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        # Not INTER_AREA, which takes several times as long: the hash has low frequencies alone.
        small = cv2.resize(rows[:, : plane.width], (THUMBNAIL_PX, THUMBNAIL_PX))
        self._moments.append(moment)
        self._pictures.append(np.asarray(small, np.uint8))
        self._matrix = matrix

    def stacked(self) -> NDArray[np.uint8]:
        """Pictures (T, 64, 64) as shown, `RATE` per second; the last one stays until the next."""
        pictures = np.asarray(self._pictures)
        # Their pixels are not those of the video: only its turns and mirroring apply.
        turns = tuple(np.rint(np.divide(self._matrix, np.abs(self._matrix).max())).tolist())
        if turns != _UPRIGHT:
            pictures = _as_shown(pictures.transpose(1, 2, 0), turns, "").transpose(2, 0, 1)
        return np.repeat(pictures, np.diff([*self._moments, self._moments[-1] + 1]), axis=0)


def probe(
    path: str | Path,
    segment: Segment | None = None,
    *,
    grey: bool = False,
    recordings: Recordings | None = None,
    thumbnails: Thumbnails | None = None,
) -> VideoInfo:
    """Frame count, size and frame rate of a video or its segment, by decoding every frame.

    `thumbnails` get the frames. Errors as `read_frames`, or as `read_grey_frames` if `grey`.
    """
    if is_landmark_file(path):
        return _probe_landmarks(path, segment, thumbnails)
    times: list[float | None] = []
    size = (0, 0)
    with _reading(path, segment, recordings) as (video, decoded):
        for frame, matrix in _frames(video, decoded, most_bits=8 if grey else None):
            if not times:
                height, width, _ = _rgb(frame, matrix, path).shape
                size = (width, height)
            times.append(frame.time)
            if thumbnails is not None:
                thumbnails.add(frame, matrix, _shown_after(times, video.rate))
    fps = _mean_rate(times, video.rate)
    return VideoInfo(len(times), *size, fps=fps, times_ms=_variable_times(times, fps))


def _probe_landmarks(
    path: str | Path, segment: Segment | None, thumbnails: Thumbnails | None
) -> VideoInfo:
    count = 0
    for picture in read_frames(path, segment):
        if thumbnails is not None:
            grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="gray")
            thumbnails.add(frame, _UPRIGHT, (count + 0.5) / LANDMARK_RATE)
        count += 1
    return VideoInfo(count, PICTURE_PX, PICTURE_PX, fps=LANDMARK_RATE)


def _shown_after(times: list[float | None], stated: float) -> float:
    """Seconds from the first frame to the middle of the latest."""
    step = 1 / (stated or 25)
    first, last = times[0], times[-1]
    seconds = (len(times) - 1) * step if first is None or last is None else last - first
    return seconds + step / 2


@contextmanager
def _reading(
    path: str | Path, segment: Segment | None, recordings: Recordings | None
) -> Iterator[tuple[OpenVideo, Iterator[av.VideoFrame]]]:
    """The open video and its frames, or those of a segment."""
    if segment is None:
        with opened(path) as video:
            yield video, decode(video)
    elif recordings is None:
        with Recordings() as own:
            yield own.segment(path, segment)
    else:
        yield recordings.segment(path, segment)


def _mean_rate(times: list[float | None], stated: float) -> float:
    """Mean frames per second of frames at these times in s, in a container that states a rate."""
    steps = len(times) - 1
    first, last = times[0], times[-1]
    seconds = 0.0 if first is None or last is None else last - first
    # Times may be rounded to ms: half a frame is no difference.
    keeps = seconds <= 0 or abs(seconds * stated - steps) < 0.5
    fps = stated if keeps else steps / seconds
    return fps if fps <= _MOST_FPS else 0.0


def _variable_times(times: list[float | None], fps: float) -> tuple[int, ...]:
    """Times in ms from the first frame; empty if all are within half a frame of a constant rate."""
    known = np.asarray([time for time in times if time is not None])
    if not fps or len(known) < len(times):
        return ()
    known = np.maximum.accumulate(known - known[0])
    if (np.abs(known * fps - np.arange(len(known))) < 0.5).all():
        return ()
    return tuple(np.rint(1000 * known).astype(int).tolist())


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits. DataError if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _rgb(frame: av.VideoFrame, matrix: Matrix, path: str | Path) -> Picture:
    """The frame as shown (H, W, 3)."""
    try:
        # One thread: the default starts one per core for each frame, and is slower.
        picture = np.asarray(frame.to_ndarray(format="rgb24", threads=1), dtype=np.uint8)
    except (av.error.FFmpegError, ValueError) as error:
        raise DataError(
            f"{path}: {frame.format.name} cannot be converted to RGB ({reason_of(error)}); encode "
            "it as yuv420p"
        ) from error
    return _as_shown(picture, matrix, path)


def _frames(
    video: OpenVideo, decoded: Iterator[av.VideoFrame], most_bits: int | None
) -> Iterator[tuple[av.VideoFrame, Matrix]]:
    """The decoded frames, with the display matrix of the first and its pixel aspect ratio in it.

    DataError if they change their shape or have more than `most_bits`.
    """
    first, matrix = "", _UPRIGHT
    for index, frame in enumerate(decoded):
        shape = _shape(frame)
        if not first:
            # Only here: PyAV's side data keep a frame in memory until Python collects garbage.
            first, (a, b, c, d) = shape, _display_matrix(frame)
            matrix = (video.aspect * a, video.aspect * b, c, d)
        if shape != first:
            raise DataError(
                f"{video.path}: frame {index} is {shape}, the first is {first}; encode the video "
                "in one size"
            )
        if most_bits is not None and frame.format.components[0].bits > most_bits:
            raise DataError(
                f"{video.path}: {frame.format.name} has more than {most_bits} bits a pixel; "
                "give depth as an 8-bit grey video"
            )
        yield frame, matrix


def _shape(frame: av.VideoFrame) -> str:
    turned = f" turned by {frame.rotation} degrees" if frame.rotation else ""
    return f"{frame.width}x{frame.height}{turned}"


def _display_matrix(frame: av.VideoFrame) -> Matrix:
    """(a, b, c, d) of ISO/IEC 14496-12, 6.2.2: pixel (x, y) is shown at (ax + cy, bx + dy)."""
    data = cast("bytes | None", frame.side_data and frame.side_data.get("DISPLAYMATRIX"))
    if not data:
        return _UPRIGHT
    a, b, _, c, d = (np.frombuffer(data, np.int32)[:5] / 65536).tolist()
    return (a, b, c, d) if a or b or c or d else _UPRIGHT  # players ignore a matrix of zeros


def _as_shown(picture: Picture, matrix: Matrix, path: str | Path) -> Picture:
    """The picture stretched, if its pixels are not square, turned and mirrored by its matrix."""
    a, b, c, d = matrix
    turned = abs(b) > abs(a)
    if turned:
        a, b, c, d = c, d, a, b
    if max(abs(b), abs(c)) >= 0.02 * min(abs(a), abs(d)):  # players round up to a degree
        raise DataError(
            f"{path}: its display matrix is no turn by 90, 180 or 270 degrees and no mirroring; "
            "encode it upright"
        )
    aspect = abs(d / a) if turned else abs(a / d)
    if abs(aspect - 1) > _SQUARE:
        picture = _stretched(picture, aspect, path)
    if turned:
        picture = picture.transpose(1, 0, 2)
    return np.ascontiguousarray(picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _stretched(picture: Picture, aspect: float, path: str | Path) -> Picture:
    """The picture with square pixels, from pixels that are `aspect` times as wide as high."""
    height, width, _ = picture.shape
    if not 1 <= aspect * width <= MOST_PIXELS / height:
        raise DataError(f"{path}: its pixels are {aspect:g} times as wide as high; encode it anew")
    return np.asarray(cv2.resize(picture, (round(aspect * width), height)), np.uint8)
