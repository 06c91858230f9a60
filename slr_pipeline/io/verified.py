"""Tables of `verify`: one CSV per shard with a row per sample, and quarantine.csv."""

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Literal, get_type_hints

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.config.section import located, relative_to
from slr_pipeline.features.frame_rate import shown_frames
from slr_pipeline.io.tables import read_table, write_table
from slr_pipeline.samples.segments import SEGMENT_COLUMNS, Segment
from slr_pipeline.samples.videos import Examined

Video = Literal["color", "depth"]


@dataclass(frozen=True)
class Verified:
    """One sample with its video paths (`depth` may be empty).

    `reason` is empty if the videos can be decoded. Otherwise the sample is quarantined, and frames,
    sizes (pixels) and rates are 0. `rate` is the frame rate of the features; 0: they have every
    frame of the video. `times_ms` are the times of the frames, separated by blanks; empty for a
    constant rate. `perceptual_hash` is that of the colour video, as base64. `segment` is the part
    of both videos that is the sample; None: all of them.
    """

    sample: str
    color: str
    depth: str
    reason: str
    frames: int = 0
    width: int = 0
    height: int = 0
    fps: float = 0.0
    color_sha256: str = ""
    depth_sha256: str = ""
    rate: float = 0.0
    times_ms: str = ""
    perceptual_hash: str = ""
    segment: Segment | None = None

    @property
    def feature_fps(self) -> float:
        """Frames per second of the features."""
        return self.rate or self.fps

    def source(self, video: Video) -> str:
        """What the sample is made from: SHA-256 of a video, and the times of a segment."""
        sha256 = self.color_sha256 if video == "color" else self.depth_sha256
        return f"{sha256} {self.segment}" if self.segment and sha256 else sha256

    def feature_frames(self) -> NDArray[np.int64]:
        """Frames of the video that the features have, in order, maybe with repeats."""
        if not self.rate:
            return np.arange(self.frames, dtype=np.int64)
        seconds = np.asarray(self.times_ms.split(), np.float64) / 1000
        if not len(seconds):
            seconds = np.arange(self.frames) / self.fps
        return shown_frames(seconds * self.rate, self.frames / self.fps * self.rate)


COLUMNS = tuple(field.name for field in fields(Verified) if field.name != "segment")


def write_verified(path: str | Path, rows: Iterable[Verified]) -> None:
    """Write the rows as CSV with a header; video paths become relative to the table's folder."""
    relative = partial(relative_to, os.path.dirname(path))
    rows = [_moved(row, relative) for row in rows]
    columns = (*COLUMNS, *(SEGMENT_COLUMNS if any(row.segment for row in rows) else ()))
    cells = [vars(row) | (row.segment.cells() if row.segment else {}) for row in rows]
    write_table(path, cells, columns)


def write_known(path: str | Path, rows: Iterable[Examined]) -> None:
    """Write what `verify` remembers of videos: the last of equal rows, in their order."""
    latest: dict[tuple[str, str], Examined] = {}
    for row in rows:
        key = (row.sample, row.files)
        latest.pop(key, None)
        latest[key] = row
    write_table(path, [row._asdict() for row in latest.values()], Examined._fields)


def read_verified(path: str | Path) -> list[Verified]:
    """Read the rows of such a CSV. ArtifactError for a missing, cut or foreign file."""
    hints = get_type_hints(Verified)
    table = read_table(path, {name: hints[name] for name in COLUMNS})
    times = table.reindex(columns=list(SEGMENT_COLUMNS)).itertuples(index=False, name=None)
    rows = table[list(COLUMNS)].itertuples(index=False, name=None)
    move = partial(located, os.path.dirname(path))
    return [
        _moved(replace(Verified(*row), segment=_segment(*segment)), move)
        for row, segment in zip(rows, times, strict=True)
    ]


def _segment(start: float, end: float) -> Segment | None:
    if math.isnan(start):
        return None
    return Segment(start, math.inf if math.isnan(end) else end)


def _moved(row: Verified, move: Callable[[str], str]) -> Verified:
    return replace(row, color=move(row.color), depth=move(row.depth) if row.depth else "")


def read_all_verified(results: str | Path) -> list[Verified]:
    """Rows of all verify tables in the results of a run; none before `verify` has run."""
    paths = sorted(Path(results).glob("verify/*/*.csv"))
    return [row for path in paths for row in read_verified(path)]


def sums_of(rows: Iterable[Verified]) -> dict[str, tuple[str, str]]:
    """SHA-256 of the colour and depth video of each sample, with the times of a segment."""
    return {row.sample: (row.source("color"), row.source("depth")) for row in rows}
