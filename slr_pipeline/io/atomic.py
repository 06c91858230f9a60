"""Files that are written whole or not at all: to a temporary name, checked, then renamed."""

import errno
import glob
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from slr_pipeline.errors import DataError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""No space left, quota exceeded, file size limit exceeded."""
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_CANNOT_FLUSH = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EBADF, errno.EPERM, errno.EACCES)
"""What file systems without fsync report (SMB, some FUSE); the data are written nevertheless."""


@contextmanager
def atomic_write(path: str | Path, check: Callable[[Path], object] | None = None) -> Iterator[Path]:
    """Yield `<path>.<random>.partial` to write to, then flush, check and rename it to `path`.

    On any exception the partial file is removed and an older `path` stays unchanged. Partial files
    of other writers are removed first: those writers were killed, or run on a node that the
    cluster has given up; such a writer fails when it finishes.

    DataError if the disk or quota is full, if this user may not write there, or if another writer
    has removed the partial file.
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for other in path.parent.glob(f"{glob.escape(path.name)}.*.partial"):
            other.unlink(missing_ok=True)
        yield partial
        _flush(partial)
        if check is not None:
            check(partial)
        os.replace(partial, path)
        with suppress(OSError):  # the file is complete, even where a folder cannot be flushed
            _flush(path.parent)
    except FileNotFoundError as error:
        if error.filename is None or Path(error.filename) != partial:
            raise
        raise DataError(
            f"{path}: another process writes the same file; wait until it ends, then run the same "
            "command again"
        ) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FORBIDDEN and _is_ours(error, path):
            raise DataError(
                f"{path}: cannot be written ({os.strerror(error.errno).lower()}); choose another "
                "folder, or share this one as docs/how-to/containers.md describes"
            ) from error
        if (reason := _full_disk(error)) is not None:
            raise DataError(
                f"{path}: cannot be written ({reason}); free some space, then run the same "
                "command again; an older file is unchanged"
            ) from error
        raise
    finally:
        with suppress(OSError):  # an error above says why
            partial.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a small UTF-8 text file, whole or not at all."""
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="")


def _is_ours(error: OSError, path: Path) -> bool:
    """Whether an error is about the file, its partial files or a folder above, and not an input."""
    place = Path(str(error.filename))
    return place in (path, *path.parents) or place.match(f"{glob.escape(path.name)}.*.partial")


def _full_disk(error: BaseException | None) -> str | None:
    """The reason if a full disk caused the error, else None."""
    while error is not None:
        for number in _FULL:
            # Libraries in other languages report it only in the message.
            if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
                return os.strerror(number).lower()
        error = error.__cause__ or error.__context__
    return None


def _flush(path: Path) -> None:
    """Have the disk store a file or folder now, where the file system can do that."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise
    finally:
        os.close(descriptor)
