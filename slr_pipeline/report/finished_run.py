"""What a report tells of: everything a finished run says of itself, read once."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from slr_pipeline.config.experiment import SPLITS, Config, Split, read_config
from slr_pipeline.config.streams import ImportedSettings
from slr_pipeline.io.benchmarks import RuleCost, read_costs
from slr_pipeline.io.documents import read_metrics
from slr_pipeline.io.quality import read_quality
from slr_pipeline.io.submission import read_predictions
from slr_pipeline.io.tables import read_table
from slr_pipeline.io.verified import Verified, read_verified
from slr_pipeline.samples.table import Sample, SampleTable, load_samples, shards

OWN_RULE = "report"


@dataclass(frozen=True)
class Scored:
    """A stream of a phase, or a track (phase empty), with its metrics and epochs, if it has any."""

    name: str
    phase: str
    metrics: dict[str, Any]
    history: tuple[dict[str, float], ...] = ()

    @property
    def title(self) -> str:
        """Its name, and the phase where that is not plain training."""
        return self.name if self.phase in ("", "train") else f"{self.name} ({self.phase})"

    @property
    def label(self) -> str:
        """Its title among others; a track is called one."""
        return self.title if self.phase else f"track {self.name}"

    def metrics_of(self, split: Split) -> dict[str, Any] | None:
        """Metrics of a split; None where there are no labels or no logits of it."""
        found: dict[str, Any] | None = self.metrics.get(split)
        return found

    def main_split(self) -> Split | None:
        """Where its accuracy counts: test, or val where test has no labels; None without either."""
        order: tuple[Split, ...] = ("test", "val")
        return next((split for split in order if self.metrics_of(split) is not None), None)

    def main_metrics(self) -> dict[str, Any]:
        """Metrics of that split; empty without labels or logits."""
        split = self.main_split()
        return {} if split is None else self.metrics_of(split) or {}


@dataclass(frozen=True)
class FinishedRun:
    """A finished run.

    `verified` and `quality` are empty where every stream is imported: no video was looked at then.
    `predictions` has the class of each test sample by track.
    """

    config: Config
    table: SampleTable
    verified: tuple[Verified, ...]
    quality: dict[Split, pd.DataFrame]
    streams: tuple[Scored, ...]
    tracks: tuple[Scored, ...]
    predictions: dict[str, dict[str, int]]
    costs: tuple[RuleCost, ...]

    @property
    def results(self) -> Path:
        """The folder of the run."""
        return Path(self.config.results)

    @cached_property
    def quarantined(self) -> dict[str, tuple[str, str]]:
        """By sample: which check it failed (`verify`, `quality`), and why.

        A clip whose videos failed has no keypoints either, and that is not said again.
        """
        keypoints = {
            sample: ("quality", reason)
            for table in self.quality.values()
            for sample, reason in zip(table["sample"], table["reason"], strict=True)
            if reason
        }
        videos = {row.sample: ("verify", row.reason) for row in self.verified if row.reason}
        return {**keypoints, **videos}

    @cached_property
    def most_erring(self) -> Scored | None:
        """Whose errors are shown: the first track that made any, else the worst stream that did."""
        tracks, streams = (
            [scored for scored in group if scored.main_metrics().get("most_confused")]
            for group in (self.tracks, self.streams)
        )
        worst = min(streams, key=lambda stream: float(stream.main_metrics()["top1"]), default=None)
        return tracks[0] if tracks else worst

    def usable(self, samples: Iterable[Sample]) -> list[Sample]:
        """Those that are not quarantined."""
        return [sample for sample in samples if sample.name not in self.quarantined]


def trained(config: Config) -> bool:
    """Whether any stream has a model, so that videos were read."""
    return any(not isinstance(stream, ImportedSettings) for stream in config.streams.values())


def read_run(config_file: str) -> FinishedRun:
    """Everything a run says of itself, by the configuration kept beside its results.

    Raises SlrError for a file that is missing or foreign.
    """
    config = read_config(config_file)
    results = Path(config.results)
    table = load_samples(config.data)
    streams = [
        _stream(results, name, phase, imported=isinstance(settings, ImportedSettings))
        for name, settings in config.streams.items()
        for phase in (("train",) if isinstance(settings, ImportedSettings) else config.phases)
    ]
    tracks = {name: results / "tracks" / name for name in config.tracks}
    looked_at = trained(config)
    return FinishedRun(
        config=config,
        table=table,
        verified=tuple(_verified(config, table)) if looked_at else (),
        quality=(
            {split: read_quality(results / "quality" / f"{split}.csv") for split in SPLITS}
            if looked_at
            else {}
        ),
        streams=tuple(streams),
        tracks=tuple(
            Scored(name, "", read_metrics(folder / "metrics.json"))
            for name, folder in tracks.items()
        ),
        predictions={
            name: dict(read_predictions(folder / "submission.csv", len(table.classes)))
            for name, folder in tracks.items()
        },
        # Its own file would make the page of a second run another one.
        costs=tuple(c for c in read_costs(results / "benchmarks") if c.rule != OWN_RULE),
    )


def _stream(results: Path, name: str, phase: str, *, imported: bool) -> Scored:
    folder = results / "streams" / name / phase
    metrics = read_metrics(folder / "metrics.json")
    if imported:
        return Scored(name, "imported", metrics)
    history = read_table(folder / "history.csv", {"epoch": int}, may_be_empty=True)
    return Scored(name, phase, metrics, tuple(history.to_dict("records")))


def _verified(config: Config, table: SampleTable) -> Iterable[Verified]:
    """Rows of the tables of this run; the folder may have those of other shards."""
    for split in SPLITS:
        for shard in shards(table.split(split), config.shard_size):
            yield from read_verified(Path(config.results) / "verify" / split / f"{shard}.csv")
