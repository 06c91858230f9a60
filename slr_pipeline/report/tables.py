"""The tables of a report, as rows of text with the numbers they sort by."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from slr_pipeline.report.finished_run import FinishedRun


@dataclass(frozen=True)
class Cell:
    """Text that is shown and the number it sorts by; without a number it sorts by the text."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Table:
    """A table with its caption; the first cell of a row is its heading."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def table(caption: str, rows: pd.DataFrame | Iterable[Mapping[str, object]]) -> Table | None:
    """Make a table of texts, numbers, cells and None (unknown); None without rows."""
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows), dtype=object)
    if frame.empty:
        return None
    cells = tuple(tuple(map(_cell, row)) for row in frame.itertuples(index=False, name=None))
    return Table(caption, tuple(frame.columns), cells)


def percent(share: float | None) -> Cell:
    """A share as a percentage with one digit."""
    return Cell("-") if share is None else Cell(percentage(share), share)


def percentage(share: float) -> str:
    """A share as text, such as 12.5 %."""
    return f"{100 * share:.1f} %"


def interval(low: float, high: float) -> Cell:
    """Two shares as percentages; sorts by the lower one."""
    return Cell(f"{100 * low:.1f} to {percentage(high)}", low)


def duration(seconds: float) -> Cell:
    """Hours, minutes, seconds."""
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return Cell(f"{hours}:{minutes:02}:{whole:02}", seconds)


def share_of(correct: int, samples: int) -> Cell:
    """Samples that are correct, as a percentage and a count."""
    return Cell(f"{percentage(correct / samples)} ({correct} of {samples})", correct / samples)


def _cell(value: object) -> Cell:
    match value:
        case Cell():
            return value
        case int():
            return Cell(f"{value:,}", value)
        case float() if not math.isnan(value):
            return Cell(f"{value:.3f}", value)
        case str():
            return Cell(value)
        case _:
            return Cell("-")


def costs_table(run: FinishedRun) -> Table | None:
    """Time and memory of each rule, longest first; None without benchmark files."""
    return table(
        "Time and memory of each rule (h:min:s)",
        [
            {
                "rule": cost.rule,
                "jobs": cost.jobs,
                "time, total": duration(cost.seconds),
                "CPU time, total": duration(cost.cpu_seconds),
                "peak memory": Cell(f"{cost.most_mb:,.0f} MB", cost.most_mb),
            }
            for cost in sorted(run.costs, key=lambda cost: -cost.seconds)
        ],
    )


def pairs_table(caption: str, columns: tuple[str, str], pairs: Mapping[str, str]) -> Table | None:
    """A table of names and values."""
    return table(caption, pd.DataFrame(pairs.items(), columns=list(columns)))
