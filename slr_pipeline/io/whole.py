"""Files that are whole or not there: written beside their place, checked, then renamed."""

import glob
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | Path, check: Callable[[Path], object] | None = None) -> Iterator[Path]:
    """Yield `<path>.<random>.partial` to write to; then it is flushed, checked, renamed to `path`.

    On any exception the partial file is removed and an older `path` stays as it was. Partial files
    of others are removed at once: they were killed, or are cut off from a cluster that has already
    started their job anew, and then fail when they come to an end.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for other in path.parent.glob(f"{glob.escape(path.name)}.*.partial"):
        other.unlink(missing_ok=True)
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    try:
        yield partial
        _flush(partial)
        if check is not None:
            check(partial)
        os.replace(partial, path)
        _flush(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a small UTF-8 text file, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
