"""Everything a report shows of a finished run, read once."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from slr_pipeline.config.experiment import Config, Split
from slr_pipeline.config.streams import ImportedSettings
from slr_pipeline.io.benchmarks import RuleCost, read_costs
from slr_pipeline.io.documents import read_metrics, read_run_config
from slr_pipeline.io.duplicates import read_duplicates
from slr_pipeline.io.predictions import read_answers
from slr_pipeline.io.quality import read_quality
from slr_pipeline.io.tables import read_table
from slr_pipeline.io.verified import COLUMNS, Verified, read_verified
from slr_pipeline.samples.duplicates import Duplicate
from slr_pipeline.samples.shards import shards
from slr_pipeline.samples.table import SampleTable, load_samples

OWN_RULE = "report"


@dataclass(frozen=True)
class Scored:
    """A stream of a phase, or a track (empty phase), with its metrics.

    `histories` are the rows by epoch of each training: one for each seed, none without training.
    """

    name: str
    phase: str
    metrics: dict[str, Any]
    histories: tuple[tuple[dict[str, float], ...], ...] = ()

    @property
    def title(self) -> str:
        """Its name, with the phase unless it is `train`."""
        return self.name if self.phase in ("", "train") else f"{self.name} ({self.phase})"

    @property
    def label(self) -> str:
        """Its title where streams and tracks are mixed."""
        return self.title if self.phase else f"track {self.name}"

    def metrics_of(self, split: Split) -> dict[str, Any] | None:
        """Metrics of a split; None without labels or logits."""
        metrics: dict[str, Any] | None = self.metrics.get(split)
        return metrics

    def main_split(self) -> Split | None:
        """The split whose accuracy counts: test, else val; None without any labels."""
        order: tuple[Split, ...] = ("test", "val")
        return next((split for split in order if self.metrics_of(split) is not None), None)

    def main_metrics(self) -> dict[str, Any]:
        """Metrics of the main split; empty without one."""
        split = self.main_split()
        return {} if split is None else self.metrics_of(split) or {}


@dataclass(frozen=True)
class FinishedRun:
    """A finished run.

    `verified`, `duplicates` and `quality` have the splits whose videos were read: none if every
    stream is imported. `answers` is the predictions.csv of each track.
    """

    config: Config
    table: SampleTable
    verified: tuple[Verified, ...]
    duplicates: tuple[Duplicate, ...]
    quality: dict[Split, pd.DataFrame]
    streams: tuple[Scored, ...]
    tracks: tuple[Scored, ...]
    answers: dict[str, pd.DataFrame]
    costs: tuple[RuleCost, ...]

    @property
    def results(self) -> Path:
        """The folder of the run."""
        return Path(self.config.results)

    @cached_property
    def quarantined(self) -> dict[str, tuple[str, str]]:
        """The check that each quarantined sample failed (`videos` or `keypoints`), and why."""
        keypoints = {
            sample: ("keypoints", reason)
            for table in self.quality.values()
            for sample, reason in zip(table["sample"], table["reason"], strict=True)
            if reason
        }
        # Unreadable videos have no keypoints either; their first reason counts.
        videos = {row.sample: ("videos", row.reason) for row in self.verified if row.reason}
        return {**keypoints, **videos}

    @cached_property
    def samples(self) -> pd.DataFrame:
        """One row per sample: split, label, sign, signer, failed check and reason, video facts."""
        classes = self.table.classes
        rows = [
            {
                "sample": sample.name,
                "split": sample.split,
                "label": sample.label,
                "sign": None if sample.label is None else classes[sample.label],
                "signer": sample.signer,
                "failed check": self.quarantined.get(sample.name, (None, None))[0],
                "reason": self.quarantined.get(sample.name, (None, None))[1],
            }
            for sample in self.table.samples
        ]
        videos = pd.DataFrame(map(asdict, self.verified), columns=list(COLUMNS))
        videos = videos[["sample", "frames", "width", "height", "fps"]]
        return pd.DataFrame(rows, dtype=object).merge(videos, on="sample", how="left")

    @cached_property
    def most_erring(self) -> Scored | None:
        """The model whose errors are shown: the first track with errors, else the worst stream."""
        tracks, streams = (
            [scored for scored in group if scored.main_metrics().get("most_confused")]
            for group in (self.tracks, self.streams)
        )
        worst = min(streams, key=lambda stream: float(stream.main_metrics()["top1"]), default=None)
        return tracks[0] if tracks else worst


def read_run(config_file: str) -> FinishedRun:
    """Read a finished run, by the configuration in its results.

    Raises SlrError for a missing or foreign file.
    """
    results = Path(config_file).parent
    config = read_run_config(results)
    table = load_samples(config.data)
    streams = [
        _read_stream(results, config, name, phase)
        for name in config.streams
        for phase in config.phases(name)
    ]
    tracks = {name: results / "tracks" / name for name in config.tracks}
    return FinishedRun(
        config=config,
        table=table,
        verified=tuple(_read_verified(config, table)),
        duplicates=tuple(
            read_duplicates(results / "duplicates.csv") if config.read_splits() else ()
        ),
        quality={
            split: read_quality(results / "quality" / f"{split}.csv")
            for split in config.read_splits()
        },
        streams=tuple(streams),
        tracks=tuple(
            Scored(name, "", read_metrics(folder / "metrics.json"))
            for name, folder in tracks.items()
        ),
        answers={name: read_answers(folder / "predictions.csv") for name, folder in tracks.items()},
        # Without the report's own cost: rendering again gives the same page.
        costs=tuple(c for c in read_costs(results / "benchmarks") if c.rule != OWN_RULE),
    )


def _read_stream(results: Path, config: Config, name: str, phase: str) -> Scored:
    # Models that have seen val are not scored on it.
    metrics = {"val": None, **read_metrics(results / "streams" / name / phase / "metrics.json")}
    if isinstance(config.streams[name], ImportedSettings):
        return Scored(name, "imported", metrics)
    histories = [
        read_table(results / folder / "history.csv", {"epoch": int}, may_be_empty=True)
        for folder in config.trainings(name, phase)
    ]
    rows = (tuple(history.to_dict("records")) for history in histories)
    return Scored(name, phase, metrics, tuple(filter(None, rows)))


def _read_verified(config: Config, table: SampleTable) -> Iterable[Verified]:
    """Rows of the shards of this run; the folder may hold other shards."""
    for split in config.read_splits():
        for shard in shards(table.split(split), config.shard_size):
            yield from read_verified(Path(config.results) / "verify" / split / f"{shard}.csv")
