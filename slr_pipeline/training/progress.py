"""How far a training is, for who watches a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from slr_pipeline.io.progress import terminal_bars


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
    with terminal_bars("batches") as bars:
        bars.add_task(f"epoch {epoch}", total=steps, completed=step)
        bars.add_task("run", total=epochs * steps, completed=epoch * steps + step)

        def advance() -> None:
            for task in bars.task_ids:
                bars.advance(task)

        yield advance
