"""A faster start of processes that import large libraries."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting_imports() -> Iterator[None]:
    """Never search what this block imports for garbage: modules last until the process ends.

    Python would search them again and again while they are made, and once more at its end: 30 to
    40 % of the start and end of a process with torch.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
