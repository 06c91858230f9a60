"""Progress of long steps: a bar on a terminal, a line every half minute in a log."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

LOG_INTERVAL_S = 30.0
"""Least time between two lines in a log."""

log = logging.getLogger(__name__)


@dataclass
class Count:
    """Items and frames done since `started` s; without `frames` of all, items give the rate."""

    total: int
    noun: str
    frames: int | None
    started: float
    done: int = 0
    done_frames: int = 0

    def __str__(self) -> str:
        return f"{self.noun} {self.done} of {self.total}"

    def rate(self, now: float) -> tuple[float, str]:
        """Frames or items per second, and the unit."""
        seconds = max(now - self.started, 1e-9)
        if self.frames is None:
            return self.done / seconds, f"{self.noun}s/s"
        return self.done_frames / seconds, "frames/s"

    def seconds_left(self, now: float) -> float:
        """Estimated time for the rest; 0 before anything is done."""
        rate, _ = self.rate(now)
        left = self.total - self.done if self.frames is None else self.frames - self.done_frames
        return left / rate if rate else 0.0


@contextmanager
def progress(
    total: int,
    noun: str = "sample",
    *,
    frames: int | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[int, int], None]]:
    """Yield `advance(items, frames)`, to call when items are done.

    A terminal shows a bar; a log gets a line at most every half minute, and one at the end. Nothing
    is shown if the log level is above INFO. `frames` are those of all items, if known.
    """
    if not log.isEnabledFor(logging.INFO):
        yield lambda more, frames: None
        return
    count = Count(total, noun, frames, clock())
    with _bar(count) if sys.stderr.isatty() else _lines(count, clock) as show:

        def advance(more: int, frames: int) -> None:
            count.done += more
            count.done_frames += frames
            show()

        yield advance
    now = clock()
    log.info("%s, %.1f %s, took %s", str(count), *count.rate(now), duration(now - count.started))


@contextmanager
def _bar(count: Count) -> Iterator[Callable[[], None]]:
    by_frames = count.frames is not None
    with terminal_bars("frames" if by_frames else f"{count.noun}s") as bars:
        task = bars.add_task(str(count), total=count.frames if by_frames else count.total)
        yield lambda: bars.update(
            task, description=str(count), completed=count.done_frames if by_frames else count.done
        )


@contextmanager
def _lines(count: Count, clock: Callable[[], float]) -> Iterator[Callable[[], None]]:
    last = count.started

    def show() -> None:
        nonlocal last
        now = clock()
        if now - last >= LOG_INTERVAL_S and count.done < count.total:
            last = now
            left = duration(count.seconds_left(now))
            log.info("%s, %.1f %s, %s left", str(count), *count.rate(now), left)

    yield show


@contextmanager
def terminal_bars(unit: str) -> Iterator["Progress"]:
    """Bars on stderr with the rate in `unit` and the time left; they disappear at the end.

    Log lines appear above them.
    """
    # Late: jobs of a workflow have no terminal, and start faster without rich.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{{task.speed!s:.5}} {unit}/s, left"),  # a speed, or None at first
        TimeRemainingColumn(),
    )
    terminal = sys.stderr
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        logs = [
            handler
            for handler in logging.getLogger().handlers
            if isinstance(handler, logging.StreamHandler) and handler.stream is terminal
        ]
        for handler in logs:
            handler.setStream(sys.stderr)  # replaced by `bars`
        try:
            yield bars
        finally:
            for handler in logs:
                handler.setStream(terminal)


def duration(seconds: float) -> str:
    """A duration as text, in a suitable unit."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 72 * 3600 else f"{seconds / 86400:.1f} d"
