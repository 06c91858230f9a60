"""What a data set looks like: counts of the sample table, lengths and sizes of its videos."""

import os
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import pandas as pd

from slr_pipeline.config.experiment import SPLITS
from slr_pipeline.errors import DataError
from slr_pipeline.features.frame_rate import feature_rate, rate_ratio
from slr_pipeline.io.verified import read_all_verified
from slr_pipeline.samples.table import Sample, SampleTable

PROBED = 8
"""Number of videos to decode if none is verified yet; about 0.1 s each."""


@dataclass(frozen=True)
class Videos:
    """Frames, width, height and fps of videos; `source` says which videos were measured.

    `feature_frames` is the number of frames that features have.
    """

    source: str
    measured: pd.DataFrame
    quarantined: int = 0


def count_splits(table: SampleTable) -> pd.DataFrame:
    """Counts per split. Clips per class leave out classes without a sample in the split."""
    samples = pd.DataFrame(
        {
            "split": [sample.split for sample in table.samples],
            "label": [sample.label for sample in table.samples],
            "signer": [sample.signer for sample in table.samples],
        }
    )
    groups = samples.groupby("split")
    counts = groups.agg(
        samples=("split", "size"), signers=("signer", "nunique"), classes=("label", "nunique")
    )
    counts["signers"] = counts["signers"].where(counts["signers"] > 0)  # unknown
    clips = samples.groupby(["split", "label"]).size().groupby("split")
    for name, values in (("least", clips.min()), ("median", clips.median()), ("most", clips.max())):
        counts[f"clips/class: {name}"] = values
    counts["no label"] = groups["label"].apply(lambda labels: labels.isna().sum())
    return counts.reindex(list(SPLITS))


def shared_signers(table: SampleTable) -> int:
    """Number of signers that appear in more than one split."""
    pairs = {(sample.signer, sample.split) for sample in table.samples if sample.signer is not None}
    return int((pd.Series([signer for signer, _ in pairs], dtype=str).value_counts() > 1).sum())


def measure_videos(table: SampleTable, results: str, seed: int) -> Videos:
    """Videos of the run's verify tables, or else a few videos drawn with the seed."""
    rows = read_all_verified(results)
    valid = [row for row in rows if not row.reason]
    if valid:
        return Videos(f"{len(rows)} verified clips", _frame_of(valid), len(rows) - len(valid))
    drawn = random.Random(seed).sample(table.samples, min(PROBED, len(table.samples)))
    infos = _probe([sample for sample in drawn if os.path.isfile(sample.color)])
    return Videos(f"{len(infos)} clips drawn at random", _frame_of(infos))


def _frame_of(rows: Sequence[object]) -> pd.DataFrame:
    columns = ("frames", "width", "height", "fps")
    table = pd.DataFrame({name: [getattr(row, name) for row in rows] for name in columns})
    ratios = [rate_ratio(fps, feature_rate(fps)) for fps in table["fps"]]
    return table.assign(feature_frames=table["frames"] / ratios)


def _probe(samples: Sequence[Sample]) -> list[object]:
    if not samples:
        return []
    # Late: without a video, no decoder is needed.
    from slr_pipeline.io.video import probe  # noqa: PLC0415

    infos: list[object] = []
    for sample in samples:
        with suppress(DataError):  # `verify` reports it
            infos.append(probe(sample.color, sample.segment))
    return infos
