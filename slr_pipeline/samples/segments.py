"""Segments: samples that are a piece of a longer recording."""

import math
import re
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass

from slr_pipeline.errors import DataError

SEGMENT_COLUMNS = ("start_s", "end_s")
MOST_OVERLAP = 0.8
"""Share of the shorter of two segments of one sign in one recording: more is a mistake."""

_SECONDS = re.compile(r"\d{1,6}([.,]\d+)?")


@dataclass(frozen=True, slots=True)
class Segment:
    """The frames that are shown from `start_s` until before `end_s`, in s of the recording.

    Times are those of a player and are compared in whole milliseconds, as containers and
    annotation programs round them.
    """

    start_s: float = 0.0
    end_s: float = math.inf

    @property
    def start_ms(self) -> int:
        """Time of the first frame, or earlier."""
        return round(1000 * self.start_s)

    @property
    def end_ms(self) -> float:
        """Time after the last frame; infinite: until the end of the recording."""
        return self.end_s if math.isinf(self.end_s) else round(1000 * self.end_s)

    def __str__(self) -> str:
        start = f"{self.start_ms / 1000:.3f}"
        if math.isinf(self.end_s):
            return f"{start} s to the end"
        return f"{start} to {self.end_ms / 1000:.3f} s"

    def cells(self) -> dict[str, float | None]:
        """The cells of a table by column."""
        return {"start_s": self.start_s, "end_s": None if math.isinf(self.end_s) else self.end_s}


def segment_of(start: str, end: str) -> Segment | None:
    """The segment of two cells, None if both are empty. DataError for anything but two times.

    An empty start is the start of the recording, an empty end its end. Decimals may have a comma,
    as spreadsheets write them in some languages.
    """
    if not start and not end:
        return None
    times = []
    for column, cell, absent in (("start_s", start, 0.0), ("end_s", end, math.inf)):
        if cell and not _SECONDS.fullmatch(cell):
            raise DataError(
                f"{column} {cell[:40]!r} is not a number of seconds from 0 on, such as 12.48"
            )
        times.append(float(cell.replace(",", ".")) if cell else absent)
    segment = Segment(*times)
    if segment.start_ms >= segment.end_ms:
        raise DataError(f"the segment {segment} is empty; end_s must be after start_s")
    return segment


def repeated(
    segments: Iterable[tuple[str, Hashable, Segment]],
) -> Iterator[tuple[str, str, float]]:
    """The first pair of each name whose segments, of one recording and label, are nearly the same.

    `segments` has the name, recording and label, and times of each. The number is the share of the
    shorter segment that both have.
    """
    groups: dict[Hashable, list[tuple[int, float, str]]] = {}
    for name, key, segment in segments:
        groups.setdefault(key, []).append((segment.start_ms, segment.end_ms, name))
    for group in groups.values():
        group.sort()
        for number, (start, end, name) in enumerate(group):
            for later_start, later_end, later in group[number + 1 :]:
                if later_start >= end:
                    break
                shorter = min(end - start, later_end - later_start)
                share = (
                    1.0 if math.isinf(shorter) else (min(end, later_end) - later_start) / shorter
                )
                if share > MOST_OVERLAP:
                    yield name, later, share
                    break
