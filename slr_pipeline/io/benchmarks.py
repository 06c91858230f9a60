"""Benchmark files of rules: what Snakemake measured of each job."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from slr_pipeline.errors import ArtifactError
from slr_pipeline.text import shown

MEASURES = ["s", "cpu_time", "max_rss"]
"""Seconds by the clock, CPU seconds, most memory in MB; `-` or NA where Snakemake has none."""


@dataclass(frozen=True)
class RuleCost:
    """What the jobs of a rule took: seconds summed, CPU seconds summed, most memory in MB."""

    rule: str
    jobs: int
    seconds: float
    cpu_seconds: float
    most_mb: float


def read_seconds(path: str | Path) -> float | None:
    """Seconds that a job took; None without a benchmark file, ArtifactError for a damaged one."""
    try:
        return float(pd.read_csv(path, sep="\t", dtype={"s": float})["s"].sum())
    except FileNotFoundError:
        return None
    except (OSError, KeyError, ValueError, TypeError) as error:
        reason = shown(str(error)[:200])
        raise ArtifactError(f"{path}: not a benchmark file ({reason}); delete it") from error


def read_costs(folder: str | Path) -> list[RuleCost]:
    """What each rule took, by the benchmark files `{folder}/{rule}/**.tsv` or `{rule}.tsv`.

    Numbers that Snakemake could not measure count as 0. Files that are no benchmarks are skipped,
    because a job that is stopped can leave an incomplete one.
    """
    jobs = []
    for path in sorted(Path(folder).rglob("*.tsv")):
        try:
            table = pd.read_csv(path, sep="\t", dtype=str)
        except (OSError, ValueError):
            continue
        numbers = (
            table.reindex(columns=MEASURES).apply(pd.to_numeric, errors="coerce").astype(float)
        )
        rule = path.relative_to(folder).parts[0].removesuffix(".tsv")
        jobs.append(numbers.where(numbers.abs() < float("inf"), 0.0).assign(rule=rule))
    if not jobs:
        return []
    rules = pd.concat(jobs).groupby("rule", sort=False)
    costs = rules.agg(
        jobs=("s", "size"), s=("s", "sum"), cpu=("cpu_time", "sum"), mb=("max_rss", "max")
    )
    return [RuleCost(*row) for row in costs.itertuples(name=None)]
