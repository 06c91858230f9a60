"""Opens videos (PyAV), decodes their frames, and decides whether a video is damaged.

A video is damaged if a frame that a player should show is missing or wrong. Errors in FFmpeg's log
alone do not decide that: some are about other data, or about frames that no player shows.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TypeAlias

import av
import av.error
import av.logging
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from slr_pipeline.errors import ConfigError, DataError

MOST_PIXELS = 4096 * 4096
"""Largest picture: a header of a few bytes could request any amount of memory."""

_OPEN_OPTIONS = {
    "max_pixels": str(MOST_PIXELS),
    # A hostile file may be a playlist: it must not open the network or another file.
    "protocol_whitelist": "file",
    "format_whitelist": "mov,matroska,webm,avi,mpeg,mpegts,asf,flv,ogg,nut,m4v,h264,hevc,gif",
}
_MARKING = frozenset({"flv", "h263", "h264", "mpeg1video", "mpeg2video", "mpeg4"})
"""Decoders that mark every frame that they conceal (libavcodec/error_resilience.c)."""

_TOO_LARGE = "exceeds specified max pixel count"

REPAIR = "copy it again from its source, or re-encode it"

Packet: TypeAlias = "av.Packet[VideoStream]"

_Logged: TypeAlias = list[tuple[int, str, str]]
"""Level, source and message of FFmpeg's errors."""

av.logging.set_level(av.logging.ERROR)
av.logging.set_skip_repeated(False)  # else an error hides the same error of the next video


@dataclass(frozen=True)
class OpenVideo:
    """A file with its first video stream; `error` is the first one of its container, or empty.

    `rate` is the mean frame rate that the container states, or 0; pixels are `aspect` times as wide
    as high.
    """

    path: str | Path
    container: InputContainer
    stream: VideoStream
    error: str
    rate: float
    aspect: float


@contextmanager
def opened(path: str | Path) -> Iterator[OpenVideo]:
    """Yield the open video. DataError that names the path if it is missing, empty or no video."""
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
                f"{path}: cannot be opened as a video ({reason_of(error)}); {REPAIR}"
            ) from error
    with container:
        if any(_TOO_LARGE in message for _, _, message in logged):
            raise DataError(
                f"{path}: has pictures of more than {MOST_PIXELS} pixels; scale it down"
            )
        # Decoders log the errors of the first packets again later.
        damage = _container_error(logged, container)
        stream = _video_stream(container, path, damage)
        rate, aspect = float(stream.average_rate or 0), float(stream.sample_aspect_ratio or 1)
        yield OpenVideo(path, container, stream, damage, rate, aspect)


def decode(video: OpenVideo) -> Iterator[av.VideoFrame]:
    """All frames of the stream in display order, as a player shows them. DataError for damage."""
    prepare(video)
    evidence = Evidence(video)
    demuxed = video.container.demux(video.stream)
    while True:
        packet, frames, failure, logged = next_decoded(demuxed)
        evidence.add(packet, failure, logged)
        if packet is None:
            break
        for frame in frames:
            evidence.add_frame(frame)
            yield frame
    evidence.check_end()


def prepare(video: OpenVideo) -> None:
    """Set the options of the decoder."""
    codec = video.stream.codec_context
    codec.thread_count = 1  # faster than AUTO at 512 x 512, and many jobs run at once
    # An intra-only decoder raises instead of giving a wrong frame.
    strict = {"err_detect": "explode"} if codec.codec.intra_only else {}
    codec.options = {"max_pixels": str(MOST_PIXELS), **strict}


class Evidence:
    """Counts and errors of a video while it is decoded; each method raises DataError for damage.

    As in players, a video begins with its first key frame; packets that are shown before that may
    fail, because what they refer to is not there. Damage is: a later packet that fails, a frame
    marked as wrong, a packet of the index that is missing. An error in the log alone is damage if
    frames are missing, or if the decoder would not mark a wrong one.
    """

    def __init__(self, video: OpenVideo) -> None:
        self._video = video
        codec = video.stream.codec_context
        self._marks_wrong_frames = codec.codec.intra_only or codec.name in _MARKING
        self._times: list[int] = []
        self._due_times: list[int] = []
        self._shown = 0
        self._first_key: int | None = None
        self._decoder_error, self._container_error = "", video.error

    def add(self, packet: "Packet | None", failure: str, logged: _Logged) -> None:
        """Add a packet (None: the end), why it fails (or empty), and FFmpeg's log."""
        early = False
        if packet is not None and packet.size:
            time = time_of(packet)
            if self._first_key is None and self._is_key(packet):
                self._first_key = time
            early = not self._shown if self._first_key is None else time < self._first_key
            self._times.append(time)
            if not early and not packet.is_discard:
                self._due_times.append(time)
        if failure or logged:
            self._add_errors(failure, logged, early)

    def _add_errors(self, failure: str, logged: _Logged, early: bool) -> None:
        codec, container = self._video.stream.codec_context, self._video.container
        error = _first_error(logged, of=codec.name)
        if failure and not early:
            raise self._damaged(failure)
        if error and not early and not self._marks_wrong_frames:
            raise self._damaged(error)
        self._decoder_error = self._decoder_error or error or failure
        self._container_error = self._container_error or _container_error(logged, container)

    def add_frame(self, frame: av.VideoFrame) -> None:
        """Add a frame that is shown."""
        if frame.is_corrupt:
            raise self._damaged(self._decoder_error or self._container_error or "a wrong frame")
        self._shown += 1

    def check_end(self) -> None:
        """Compare what was shown with what the packets and the container announce."""
        path, container, stream = self._video.path, self._video.container, self._video.stream
        # Without what an edit list hides. Only the index of mp4 and its relatives has each packet.
        indexed = len(stream.index_entries) if "mp4" in container.format.name else 0
        packets, due = len(self._times), len(self._due_times)
        if packets < indexed:
            raise DataError(f"{path}: ends after {packets} of {indexed} frames; {REPAIR}")
        if self._decoder_error and (self._shown != due or self._lacks_packets()):
            raise self._damaged(self._decoder_error)
        seconds = (container.duration or 0) / av.time_base
        announced = stream.frames or round(seconds * float(stream.average_rate or 0))
        if self._container_error and not (self._marks_wrong_frames and self._shown == announced):
            raise self._damaged(self._container_error)
        if not self._shown:
            raise DataError(f"{path}: has no frames; {REPAIR}")

    def check_segment(self, shown: int, due: int) -> None:
        """Compare the shown frames of a segment with its packets."""
        if self._decoder_error and shown != due:
            raise self._damaged(self._decoder_error)

    def _lacks_packets(self) -> bool:
        """Whether the times of the packets have a gap, in a video of constant rate."""
        first, last = min(self._due_times, default=0), max(self._due_times, default=0)
        times = sorted(time for time in self._times if first <= time <= last)
        steps = sorted(after - before for before, after in pairwise(times))
        return bool(steps) and steps[-1] > 1.5 * steps[len(steps) // 2]

    def _is_key(self, packet: Packet) -> bool:
        # A damaged packet may have lost its flag, but not its entry in the index.
        entries = self._video.stream.index_entries
        return packet.is_keyframe or any(e.is_keyframe and e.pos == packet.pos for e in entries)

    def _damaged(self, reason: str) -> DataError:
        return DataError(
            f"{self._video.path}: is damaged after {self._shown} frames ({reason}); {REPAIR}"
        )


def time_of(packet: Packet) -> int:
    """When the picture of a packet is shown, in the time base of its stream."""
    return packet.dts or 0 if packet.pts is None else packet.pts


def next_decoded(
    demuxed: Iterator[Packet],
) -> tuple["Packet | None", list[av.VideoFrame], str, _Logged]:
    """The next packet (None at the end), its frames, why it fails (or empty), and FFmpeg's log.

    The log is captured per packet, because other videos may be decoded in between.
    """
    packet, frames, failure = None, [], ""
    with av.logging.Capture() as logged:
        try:
            packet = next(demuxed, None)
            if packet is not None:
                failure = "a packet is broken" if packet.is_corrupt else ""
                frames = packet.decode()
        except av.error.FFmpegError as error:
            failure = reason_of(error)
    return packet, frames, failure and (_first_error(logged) or failure), logged


def _video_stream(container: InputContainer, path: str | Path, error: str) -> VideoStream:
    # The cover picture of a sound file is a video stream of one frame.
    streams = [s for s in container.streams.video if Disposition.attached_pic not in s.disposition]
    if not streams and error:
        raise DataError(f"{path}: is damaged ({error}); {REPAIR}")
    if not streams:
        raise DataError(f"{path}: has no video stream; give a file with pictures in it")
    if streams[0].codec_context is None:
        raise DataError(f"{path}: its codec is unknown; {REPAIR}")
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


def reason_of(error: Exception) -> str:
    """The library's reason, without number and function name."""
    return getattr(error, "strerror", None) or str(error)


def _first_error(logged: _Logged, of: str = "") -> str:
    """Source and message of the first error, `of` one source if given; empty if none."""
    for _, name, message in logged:
        if name == of or not of:
            return f"{name.split(',')[0]}: {' '.join(message.split())}"
    return ""


def _container_error(logged: _Logged, container: InputContainer) -> str:
    """The first error of the container or of the file below it; empty if none."""
    return _first_error([entry for entry in logged if entry[1] in (container.format.name, "")])
