"""Segments of long recordings: those of one recording, in order of time, decode it once.

The frames of a segment equal those of the whole decode. What lies before it is skipped up to the
last key frame where the container has the exact time of each packet (MP4, MOV, Matroska, WebM).
Other recordings are decoded from their beginning.
"""

import math
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import av
import av.error

from slr_pipeline.errors import DataError
from slr_pipeline.io.decoding import (
    REPAIR,
    Evidence,
    OpenVideo,
    Packet,
    next_decoded,
    opened,
    prepare,
    time_of,
)
from slr_pipeline.samples.segments import Segment

MOST_OPEN = 2
"""Open recordings: colour and depth."""

FAR_MS = 5000
"""From this distance on, seeking is cheaper than reading the packets in between."""

REORDERED_S = 1
"""A picture is decoded at most this long before it is shown."""

CHUNK = 256
"""Packets that are read before any of them is decoded."""


class Recordings:
    """Keeps the last recordings open, so that the next segment goes on where the last one ended."""

    def __init__(self) -> None:
        self._open: dict[str, _Recording] = {}

    def __enter__(self) -> "Recordings":
        return self

    def __exit__(self, *_: object) -> None:
        for recording in self._open.values():
            recording.close()
        self._open.clear()

    def segment(
        self, path: str | Path, segment: Segment
    ) -> tuple[OpenVideo, Iterator[av.VideoFrame]]:
        """The recording and the frames of a segment, to be read before those of the next one.

        DataError that names the path for a recording that cannot be opened, damage before the end
        of the segment that affects it, and a segment that is not in the recording.
        """
        key = str(path)
        recording = self._open.pop(key, None) or _Recording(path)
        self._open[key] = recording  # the last one used is last
        while len(self._open) > MOST_OPEN:
            self._open.pop(next(iter(self._open))).close()
        return recording.video, self._frames(key, recording, segment)

    def _frames(
        self, key: str, recording: "_Recording", segment: Segment
    ) -> Iterator[av.VideoFrame]:
        try:
            yield from recording.frames(segment)
        except DataError:
            self._open.pop(key, recording).close()
            raise


class _Recording:
    """An open recording and how far it is decoded. Times are ms from its beginning in a player."""

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._stack = ExitStack()
        self._open()
        names = set(self.video.container.format.name.split(","))
        times = [entry.timestamp for entry in self.video.stream.index_entries]
        # An edit list may show parts of a video in another order.
        self._skips = bool(names & {"mov", "matroska"}) and times == sorted(times)

    def close(self) -> None:
        self._stack.close()

    def _open(self) -> None:
        """Open the file, anew if it is open: no container is surely sought to its beginning."""
        self._stack.close()
        self.video = self._stack.enter_context(opened(self._path))
        prepare(self.video)
        self._origin = max(0, self.video.container.start_time or 0) / av.time_base
        self._restart()

    def _restart(self) -> None:
        """Read on from the present place of the container."""
        self._demuxed = self.video.container.demux(self.video.stream)
        self._packets: deque[Packet] = deque()  # not yet decoded
        self._ahead: deque[av.VideoFrame] = deque()  # not yet shown
        self._due: list[int] = []  # times of packets whose frames are not yet shown
        self._passed = -math.inf  # time of the last frame that is shown or dropped
        self._last_dts = 0
        self._jumped, self._ended = False, False
        self._keyed = True  # decoding begins at a key frame, and shows it
        self._key_ms = math.inf  # time of this key frame, if it is not shown yet
        self._begin_group()

    def _begin_group(self) -> None:
        """Forget errors: frames from here on need nothing before."""
        self._damage: DataError | None = None
        self._evidence = Evidence(self.video)

    def frames(self, segment: Segment) -> Iterator[av.VideoFrame]:
        """The frames of a segment in display order."""
        start, end = segment.start_ms, segment.end_ms
        self._approach(start)
        frame = self._first(start, skip=self._skips)
        if self._jumped and self._misses(frame, start):
            self._skips = False
            self._open()
            frame = self._first(start, skip=False)
        self._jumped = False
        shown = 0
        while True:
            if self._damage:
                raise self._damage
            if frame is None or self._ms(frame) >= end:
                break
            self._passed = self._ms(frame)
            shown += 1
            yield frame
            frame = self._next()
        if frame is not None:
            self._ahead.appendleft(frame)
        self._evidence.check_segment(shown, sum(start <= time < end for time in self._due))
        self._check_inside(segment, shown)

    def _approach(self, start: int) -> None:
        """Seek a place before the segment if the present one is behind it or far away."""
        self._due = [time for time in self._due if time >= start]
        behind = start <= self._passed
        if self._skips and (behind or start - max(0, self._passed) > FAR_MS):
            container, stream = self.video.container, self.video.stream
            # Containers are sought by decoding times, which are earlier.
            seconds = max(0, start / 1000 - REORDERED_S) + self._origin
            try:
                container.seek(int(seconds / (stream.time_base or 1)), stream=stream)
            except av.error.FFmpegError:
                self._open()
                return
            stream.codec_context.flush_buffers()
            self._restart()
            self._jumped, self._keyed = True, False
        elif behind:
            self._open()

    def _first(self, start: int, *, skip: bool) -> av.VideoFrame | None:
        """The first frame at or after `start`; None at the end. Damage before it is kept."""
        while True:
            if skip and not self._ahead and not self._packets and self._expected(start) is None:
                self._skip(start)
            frame = self._next(start)
            time = math.inf if frame is None else self._ms(frame)
            if time >= self._key_ms:
                self._keyed = self._keyed and time == self._key_ms
                self._key_ms = math.inf
            if time >= start:
                return frame
            self._passed = time

    def _misses(self, frame: av.VideoFrame | None, start: int) -> bool:
        """Whether decoding that began at a key frame lacks the first frame of a segment."""
        time = None if frame is None else self._ms(frame)
        return time != self._expected(start) or self._damage is not None or not self._keyed

    def _expected(self, start: int) -> int | None:
        """Time of the first packet read so far that is shown at or after `start`."""
        return min((time for time in self._due if time >= start), default=None)

    def _skip(self, start: int) -> None:
        """Read packets up to `start`, and drop those before the last key frame."""
        for _ in range(CHUNK):
            if not self._read():
                return
            packet = self._packets[-1]
            time = self._packet_ms(packet)
            if packet.size and packet.is_keyframe and time <= start:
                self._packets = deque([packet])
                self._due = [] if packet.is_discard else [time]
                self.video.stream.codec_context.flush_buffers()
                self._begin_group()
                self._jumped = self._keyed = True
                self._key_ms = math.inf if packet.is_discard else time
            if time >= start and not packet.is_discard:
                return

    def _next(self, start: float = -math.inf) -> av.VideoFrame | None:
        """The next frame; None at the end. Errors count from the last key frame up to `start`."""
        while not self._ahead:
            if not self._packets and not self._read():
                return None
            packet = self._packets.popleft()
            if packet.size and packet.is_keyframe and self._packet_ms(packet) <= start:
                self._begin_group()
            _, frames, failure, logged = next_decoded(iter((packet,)))
            try:
                self._evidence.add(packet, failure, logged)
                for frame in frames:
                    self._evidence.add_frame(frame)
            except DataError as error:
                self._damage = self._damage or error
            self._ahead += frames
        return self._ahead.popleft()

    def _read(self) -> bool:
        """Read a packet; whether there is one. The last one has no content and drains the decoder.

        DataError if the file cannot be read on.
        """
        if self._ended:
            return False
        try:
            packet = next(self._demuxed)
        except (av.error.FFmpegError, StopIteration) as error:
            raise DataError(f"{self._path}: cannot be read on ({error}); {REPAIR}") from error
        self._packets.append(packet)
        self._ended = not packet.size
        if packet.size:
            self._last_dts = packet.dts or 0
            if not packet.is_discard:
                self._due.append(self._packet_ms(packet))
        return True

    def _check_inside(self, segment: Segment, shown: int) -> None:
        """DataError for a segment without frames, or that ends after the recording."""
        path = self._path
        if not self._ended or self._ahead or self._packets:
            if not shown:
                raise DataError(f"{path}: has no frame in {segment}; correct start_s and end_s")
            return
        entries = self.video.stream.index_entries
        if len(entries) and self._last_dts < entries[-1].timestamp:
            raise DataError(f"{path}: ends before its last frame, in {segment}; {REPAIR}")
        rate, duration = self.video.rate, self.video.container.duration or 0
        last = max(0, self._passed) + (1000 / rate if rate else 0)
        length = max(last, 1000 * duration / av.time_base)
        if not shown or (not math.isinf(segment.end_ms) and segment.end_ms > length + 1):
            raise DataError(
                f"{path}: is {length / 1000:.3f} s long, and the segment is {segment}; correct "
                "start_s and end_s"
            )

    def _ms(self, frame: av.VideoFrame) -> int:
        if frame.time is None:
            raise DataError(
                f"{self._path}: its frames have no times, which segments need; copy it into an mp4"
            )
        return round(1000 * (frame.time - self._origin))

    def _packet_ms(self, packet: Packet) -> int:
        return round(1000 * (float(time_of(packet) * (packet.time_base or 0)) - self._origin))
