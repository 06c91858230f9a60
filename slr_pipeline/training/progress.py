"""How far a training is, for who watches a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def shown_progress(
    *, epoch: int, epochs: int, step: int, steps: int, shown: bool = True
) -> Iterator[Callable[[], None]]:
    """Yield what to call after each of the `steps` batches of an epoch, `step` of them done.

    On a terminal this moves a bar of the epoch and one of the run, which go with the epoch; else,
    and if not `shown`, nothing is written.
    """
    if not (shown and sys.stderr.isatty()):
        yield lambda: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.speed!s:.5} batches/s, left"),  # a speed, or None at first
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bars.add_task(f"epoch {epoch}", total=steps, completed=step)
        bars.add_task("run", total=epochs * steps, completed=epoch * steps + step)

        def advance() -> None:
            for task in bars.task_ids:
                bars.advance(task)

        yield advance
