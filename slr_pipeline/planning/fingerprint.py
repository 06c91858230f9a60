"""What a data set is like: counts of the sample table, and lengths and sizes of its videos."""

import glob
import os
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median

from slr_pipeline.config.experiment import SPLITS, Split
from slr_pipeline.errors import DataError
from slr_pipeline.io.verified import read_verified
from slr_pipeline.samples.table import Sample, SampleTable

PROBED = 8
"""Videos that are decoded where none was verified; some 0.1 s each."""


@dataclass(frozen=True)
class SplitCounts:
    """A split; `clips` are the least, median and most of a class, classes without any left out."""

    split: Split
    samples: int
    signers: int
    classes: int
    clips: tuple[int, float, int] | None
    unlabelled: int


@dataclass(frozen=True)
class Videos:
    """What is known of the videos: `how` says by which; empty where none is known."""

    how: str
    frames: Sequence[int] = ()
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    rates: Counter[float] = field(default_factory=Counter)
    quarantined: int = 0


def count_splits(table: SampleTable) -> list[SplitCounts]:
    """The counts of each split."""
    found = []
    for split in SPLITS:
        samples = table.split(split)
        clips = Counter(sample.label for sample in samples if sample.label is not None)
        numbers = sorted(clips.values())
        found.append(
            SplitCounts(
                split,
                len(samples),
                len({sample.signer for sample in samples} - {None}),
                len(clips),
                (numbers[0], median(numbers), numbers[-1]) if numbers else None,
                sum(sample.label is None for sample in samples),
            )
        )
    return found


def shared_signers(table: SampleTable) -> int:
    """Signers that stand in more than one split."""
    splits = Counter(
        signer
        for split in SPLITS
        for signer in {sample.signer for sample in table.split(split)} - {None}
    )
    return sum(count > 1 for count in splits.values())


def look_at_videos(table: SampleTable, results: str, seed: int) -> Videos:
    """Of the run's verify tables, or else of a few videos drawn with the seed."""
    tables = sorted(glob.glob(os.path.join(glob.escape(results), "verify", "*", "*.csv")))
    rows = [row for path in tables for row in read_verified(path)]
    whole = [row for row in rows if not row.reason]
    if whole:
        return Videos(
            f"{len(rows)} verified clips",
            [row.frames for row in whole],
            Counter((row.width, row.height) for row in whole),
            Counter(round(row.fps, 2) for row in whole),
            len(rows) - len(whole),
        )
    drawn = random.Random(seed).sample(table.samples, min(PROBED, len(table.samples)))
    return _probed([sample for sample in drawn if os.path.isfile(sample.color)])


def _probed(samples: Sequence[Sample]) -> Videos:
    if not samples:
        return Videos("")
    # Late: where there is no video, none of what decodes them is needed.
    from slr_pipeline.io.video import probe  # noqa: PLC0415

    found = []
    for sample in samples:
        with suppress(DataError):  # `verify` will tell
            found.append(probe(sample.color))
    return Videos(
        f"{len(found)} clips drawn at random",
        [info.frames for info in found],
        Counter((info.width, info.height) for info in found),
        Counter(round(info.fps, 2) for info in found),
    )
