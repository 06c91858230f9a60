"""Files that are whole or not there: written beside their place, checked, then renamed."""

import errno
import glob
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from slr_pipeline.errors import DataError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""No space, over the quota, over the limit of a file's size."""


@contextmanager
def whole_file(path: str | Path, check: Callable[[Path], object] | None = None) -> Iterator[Path]:
    """Yield `<path>.<random>.partial` to write to; then it is flushed, checked, renamed to `path`.

    On any exception the partial file is removed and an older `path` stays as it was. Partial files
    of others are removed at once: they were killed, or are cut off from a cluster that has already
    started their job anew, and then fail when they come to an end.

    DataError where the disk or a quota is full, or where another has begun to write the file.
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
    except FileNotFoundError as error:
        if error.filename is None or Path(error.filename) != partial:
            raise
        raise DataError(
            f"{path}: another process has begun to write it; leave it to that one, or run the same "
            "command again when it has ended"
        ) from error
    except Exception as error:
        if (reason := full_disk(error)) is not None:
            raise DataError(
                f"{path}: cannot be written ({reason}); make room, then run the same command "
                "again; an older file is unchanged"
            ) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a small UTF-8 text file, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="")


def full_disk(error: BaseException | None) -> str | None:
    """Why there was no room, where that is what is behind an error; else None."""
    while error is not None:
        for number in _FULL:
            # Libraries in other languages tell it in words only.
            if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
                return os.strerror(number).lower()
        error = error.__cause__ or error.__context__
    return None


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
