"""HDF5 files that are written whole or not at all, also where the disk gets full."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from slr_pipeline.io.atomic import whole_file
from slr_pipeline.io.sealed import seal

PAGE_BYTES = 1 << 16


@contextmanager
def whole_hdf5(
    path: str | Path, check: Callable[[Path], object]
) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """Yield a new HDF5 file, and what raises if the disk has got full since; to be called often.

    It is sealed and becomes `path` as with `whole_file`, after `check`.
    """
    with whole_file(path, check) as partial:
        disk = _Disk(partial)
        try:
            with h5py.File(path, "w", driver="fileobj", fileobj=disk) as file:
                yield file, disk.raise_error
        except Exception:
            disk.raise_error()  # behind whatever came of it
            raise
        finally:
            disk.close()
        disk.raise_error()
        seal(partial)


class _Disk:
    """A file that keeps its first error for later, and what it could not write in memory.

    libhdf5 crashes in the end if writing fails: what it holds of a file cannot be closed then.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        self._place = self._end = 0
        self._error: OSError | None = None
        self._unwritten: dict[int, bytearray] = {}  # pages

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def raise_error(self) -> None:
        """Raise the first error, if there was one."""
        if self._error is not None:
            raise self._error

    def write(self, data: Any) -> int:
        """Write all of `data`, on the disk or in memory."""
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left and self._error is None:
                self._move(written := os.pwrite(self._file, left, self._place))
                left = left[written:]
        except OSError as error:
            self._error = error
        while left:
            page, start = self._page()
            part = left[: PAGE_BYTES - start]
            page[start : start + len(part)] = part
            self._unwritten[self._place // PAGE_BYTES] = page
            self._move(len(part))
            left = left[len(part) :]
        return size

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from the present place on; bytes that were there."""
        left = memoryview(buffer).cast("B")[: max(0, self._end - self._place)]
        size = len(left)
        while left:
            page, start = self._page()
            part = page[start : start + len(left)]
            left[: len(part)] = part
            self._move(len(part))
            left = left[len(part) :]
        return size

    def _page(self) -> tuple[bytearray, int]:
        """The page of the present place, and where in it that is."""
        number, start = divmod(self._place, PAGE_BYTES)
        if number not in self._unwritten:
            found = os.pread(self._file, PAGE_BYTES, number * PAGE_BYTES)
            return bytearray(found.ljust(PAGE_BYTES, b"\0")), start
        return self._unwritten[number], start

    def _move(self, count: int) -> None:
        self._place += count
        self._end = max(self._end, self._place)

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; where that is."""
        self._place = place + {os.SEEK_SET: 0, os.SEEK_END: self._end}[whence]
        return self._place

    def tell(self) -> int:
        """The present place."""
        return self._place

    def truncate(self, size: int) -> int:
        """Set the size."""
        self._end = size
        if self._error is None:
            os.ftruncate(self._file, size)
        return size

    def flush(self) -> None:
        """Nothing is held back."""
