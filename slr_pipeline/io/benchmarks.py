"""What Snakemake measured of a job: the benchmark file of its rule."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slr_pipeline.errors import ArtifactError


@dataclass(frozen=True)
class RuleCost:
    """What the jobs of a rule took: seconds summed, CPU seconds summed, most memory in MB."""

    rule: str
    jobs: int
    seconds: float
    cpu_seconds: float
    most_mb: float


def read_seconds(path: str | Path) -> float | None:
    """Seconds by the clock of a job; None where nothing was measured, ArtifactError if damaged."""
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            return sum(float(row["s"]) for row in csv.DictReader(file, delimiter="\t"))
    except FileNotFoundError:
        return None
    except (OSError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise ArtifactError(f"{path}: not a benchmark file ({error}); delete it") from error


def read_costs(folder: str | Path) -> list[RuleCost]:
    """What each rule took, by the benchmark files `{folder}/{rule}/**.tsv` or `{rule}.tsv`.

    Numbers that Snakemake could not measure count as 0; files that are no benchmarks are skipped:
    they are written by Snakemake, and a job that is stopped leaves some in part.
    """
    found: dict[str, list[list[float]]] = {}
    for path in sorted(Path(folder).rglob("*.tsv")):
        rule = path.relative_to(folder).parts[0].removesuffix(".tsv")
        try:
            with path.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file, delimiter="\t"))
        except (ValueError, csv.Error):
            continue
        for row in rows:
            found.setdefault(rule, []).append(
                [_number(row.get(column)) for column in ("s", "cpu_time", "max_rss")]
            )
    return [_summed(rule, jobs) for rule, jobs in found.items()]


def _summed(rule: str, jobs: Sequence[Sequence[float]]) -> RuleCost:
    seconds, cpu_seconds, megabytes = zip(*jobs, strict=True)
    return RuleCost(rule, len(jobs), sum(seconds), sum(cpu_seconds), max(megabytes))


def _number(text: str | None) -> float:
    try:
        value = float(text or 0)
    except ValueError:  # `-` or `NA`
        return 0.0
    return value if math.isfinite(value) else 0.0
