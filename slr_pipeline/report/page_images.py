"""Images from videos for a report: features of one sample, and confused signs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
from numpy.random import default_rng

from slr_pipeline.errors import DataError
from slr_pipeline.io.video import Picture, read_frames
from slr_pipeline.report.contact_sheet import sample_rows
from slr_pipeline.report.drawing import Row, fitted
from slr_pipeline.report.figures import PageImage, data_uri
from slr_pipeline.report.finished_run import FinishedRun
from slr_pipeline.samples.table import Sample

COLUMNS = 4
TILE_PX = 156
THUMBNAIL_PX = 176
QUALITY = 82
MOST_PAIRS = 4


@dataclass(frozen=True)
class Strip:
    """A feature of a sample: label, its frames side by side, legend."""

    label: str
    picture: PageImage
    legend: PageImage | None


@dataclass(frozen=True)
class Sheet:
    """The strips of one sample, and its description."""

    about: str
    strips: list[Strip]


@dataclass(frozen=True)
class Pair:
    """Two confused signs or two copies of a clip: a caption and a frame of each."""

    first: str
    second: str
    about: str
    pictures: tuple[PageImage, PageImage]


def sample_sheet(run: FinishedRun, shard: Sequence[str], features: Sequence[str]) -> Sheet | None:
    """Features of one sample of a shard (sample names), chosen by the run's seed.

    None if all are quarantined. DataError if a video is missing.
    """
    names = sorted(set(shard) - run.quarantined.keys())
    if not names:
        return None
    name = names[int(default_rng(run.config.seed).integers(len(names)))]
    verified, frames, rows = sample_rows(name, run.results, COLUMNS, features)
    shown = ", ".join(map(str, frames))
    about = (
        f"{name}: {verified.frames} frames, {verified.width} x {verified.height} px, "
        f"{verified.fps:g} frames per second; frames {shown} from left to right"
    )
    return Sheet(about, [_strip(row, name, shown) for row in rows])


def _strip(row: Row, sample: str, frames: str) -> Strip:
    label = row.label.replace("\n", " ")
    tiles = [fitted(picture, TILE_PX) for picture in row.pictures if picture is not None]
    height = max(tile.shape[0] for tile in tiles)
    gap = np.full((height, 2, 3), 128, np.uint8)
    parts = [part for tile in tiles for part in (_padded(tile, height), gap)]
    strip = np.concatenate(parts[:-1], axis=1)
    alt = f"{label}, of sample {sample} at frames {frames}"
    legend = None
    if row.legend is not None:
        legend = _encoded("png", row.legend, "Colour wheel: hue is the direction")
    return Strip(label, _jpeg(strip, alt), legend)


def _padded(tile: Picture, height: int) -> Picture:
    return np.pad(tile, ((0, height - tile.shape[0]), (0, 0), (0, 0)))


def confused_pairs(run: FinishedRun) -> list[Pair]:
    """Most frequent errors of `FinishedRun.most_erring`, with a frame of each sign.

    The frames are from clips of train. DataError if a video is missing.
    """
    if run.most_erring is None:
        return []
    pairs: list[Pair] = []
    for pair in run.most_erring.main_metrics()["most_confused"][:MOST_PAIRS]:
        sign, other = _sign(run, pair["sign"]), _sign(run, pair["taken_for"])
        if sign is not None and other is not None:
            about = f"{pair['count']} of {pair['samples']} clips of {run.most_erring.main_split()}"
            pairs.append(Pair(pair["sign"], pair["taken_for"], about, (sign, other)))
    return pairs


def _sign(run: FinishedRun, gloss: str) -> PageImage | None:
    """Middle frame of the first clip of a sign in train; None without a usable clip."""
    label = run.table.classes.index(gloss)
    frames = {row.sample: row.frames for row in run.verified}
    train = (s for s in run.table.split("train") if s.label == label and s.name in frames)
    samples = [sample for sample in train if sample.name not in run.quarantined]
    if not samples:
        return None
    alt = f"The sign {gloss}, middle frame of train clip {samples[0].name}"
    return _middle_frame(samples[0], frames[samples[0].name], alt)


def duplicate_pairs(run: FinishedRun) -> list[Pair]:
    """The first sample of the first groups of copies and its twin, with a frame of each.

    DataError if a video is missing.
    """
    sample_of = {sample.name: sample for sample in run.table.samples}
    frames = {row.sample: row.frames for row in run.verified}
    firsts = {row.group: row for row in reversed(run.duplicates)}
    pairs = []
    for group in sorted(firsts)[:MOST_PAIRS]:
        row = firsts[group]
        named = [sample_of[name] for name in (row.sample, row.twin)]
        pictures = [
            _middle_frame(sample, frames[sample.name], f"Middle frame of clip {sample.name}")
            for sample in named
        ]
        first, second = (f"{sample.name} ({sample.split})" for sample in named)
        pairs.append(Pair(first, second, row.kind, (pictures[0], pictures[1])))
    return pairs


def _middle_frame(sample: Sample, frames: int, alt: str) -> PageImage:
    middle = frames // 2
    picture = next(islice(read_frames(sample.color, sample.segment), middle, None), None)
    if picture is None:
        raise DataError(
            f"{sample.color}: has no frame {middle}; restore the video that the run used"
        )
    return _jpeg(fitted(picture, THUMBNAIL_PX), alt)


def _jpeg(pixels: Picture, alt: str) -> PageImage:
    quality = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    return _encoded("jpeg", pixels, alt, quality)


def _encoded(kind: str, pixels: Picture, alt: str, options: Sequence[int] = ()) -> PageImage:
    height, width = pixels.shape[:2]
    _, content = cv2.imencode(f".{kind}", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    return PageImage(data_uri(f"image/{kind}", content.tobytes()), alt, width, height)
