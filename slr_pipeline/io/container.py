"""The HDF5 container of features and logits: written whole or not at all, sealed with checksums.

libhdf5 trusts the bytes of a file: a flipped byte can be another number or an endless search. The
seal holds a CRC-32 of every block and is checked before libhdf5 sees the block. It follows the end
of the HDF5 data, where other HDF5 readers do not look. docs/reference/artifacts.md specifies it.
"""

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.atomic import atomic_write

BLOCK_BYTES = 2**16
MAGIC = b"slrseal1"

_END = struct.Struct("<IQ8s")
"""CRC-32 of the block checksums and the length; the length of the HDF5 data; MAGIC."""


@contextmanager
def create_container(
    path: str | Path, check: Callable[[Path], object]
) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """Yield a new HDF5 file and a function that raises OSError if the disk is full.

    Call the function often: writing itself does not raise. The file is sealed, passed to `check`
    and renamed to `path` as in `atomic_write`.
    """
    with atomic_write(path, check) as partial:
        with _Disk(partial) as disk:
            try:
                with h5py.File(partial, "w", driver="fileobj", fileobj=disk) as file:
                    yield file, disk.raise_error
            finally:
                disk.raise_error()  # replaces errors that only follow from it
        seal(partial)


class _Disk(io.FileIO):
    """A file that keeps its first write error for `raise_error` and drops all later writes.

    libhdf5 crashes the process at exit if a write fails, because it cannot close its file then.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self._error: OSError | None = None

    def raise_error(self) -> None:
        """Raise the first write error, if any."""
        if self._error is not None:
            raise self._error

    def write(self, data: Any) -> int:
        """Write all of `data` unless an earlier write failed."""
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left and self._error is None:
                left = left[super().write(left) :]
        except OSError as error:
            self._error = error
        return size

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from the current position, with zeros after the end of the file."""
        view = memoryview(buffer).cast("B")
        count = super().readinto(view) or 0
        view[count:] = bytes(len(view) - count)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Set the size unless a write failed."""
        try:
            return super().truncate(size) if self._error is None else size or 0
        except OSError as error:
            self._error = error
            return size or 0


def seal(path: str | Path) -> None:
    """Append the seal to a closed HDF5 file."""
    sums = bytearray()
    with open(path, "r+b") as file:
        while block := file.read(BLOCK_BYTES):
            sums += struct.pack("<I", zlib.crc32(block))
        length = file.tell()
        file.write(sums + _END.pack(_seal_sum(sums, length), length, MAGIC))


def open_container(path: str | Path) -> h5py.File:
    """Open a sealed file for reading. OSError without a seal, and on reading a damaged block.

    ArtifactError if the file makes libhdf5 read other files.
    """
    file = h5py.File(os.fspath(path), "r", driver="fileobj", fileobj=_SealedFile(path))
    for name in file:
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise ArtifactError(f"{path}: it links to other files; give a file that is whole")
        item = file[name]
        if isinstance(item, h5py.Dataset) and (item.is_virtual or item.external):
            raise ArtifactError(f"{path}: its data are in other files; give a file that is whole")
    return file


def check_container(path: str | Path) -> None:
    """Check every block of a sealed file. OSError without a seal or for a damaged block."""
    file, buffer = _SealedFile(path), memoryview(bytearray(16 * BLOCK_BYTES))
    while file.readinto(buffer):
        pass


class _SealedFile:
    """The HDF5 data of a sealed file, as h5py reads it: each read checks whole blocks."""

    def __init__(self, path: str | Path) -> None:
        self._position = 0
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._length, self._sums = self._read_seal()

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)

    def _read_seal(self) -> tuple[int, NDArray[np.uint32]]:
        """Length of the HDF5 data and the CRC-32 (blocks,) of its blocks."""
        size = os.fstat(self._file).st_size
        end = os.pread(self._file, _END.size, max(0, size - _END.size))
        if len(end) == _END.size:
            seal_sum, length, magic = _END.unpack(end)
            blocks = -(-length // BLOCK_BYTES)
            if magic == MAGIC and size == length + 4 * blocks + _END.size:
                sums = os.pread(self._file, 4 * blocks, length)
                if _seal_sum(sums, length) == seal_sum:
                    return length, np.frombuffer(sums, "<u4")
        raise OSError("it ends without its seal, so it is short, of another version or foreign")

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer from the current position; the number of bytes that were left."""
        end = min(self._position + len(buffer), self._length)
        first = self._position // BLOCK_BYTES
        start = first * BLOCK_BYTES
        stop = min(-(-end // BLOCK_BYTES) * BLOCK_BYTES, self._length)
        blocks = memoryview(os.pread(self._file, max(0, stop - start), start))
        for number, at in enumerate(range(0, stop - start, BLOCK_BYTES), start=first):
            if zlib.crc32(blocks[at : at + BLOCK_BYTES]) != self._sums[number]:
                raise OSError(f"its bytes from {start + at} on are not those that were written")
        count = max(0, end - self._position)
        buffer[:count] = blocks[self._position - start : end - start]
        self._position += count
        return count

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position and return it."""
        self._position = position + {os.SEEK_SET: 0, os.SEEK_END: self._length}[whence]
        return self._position

    def tell(self) -> int:
        """The current position."""
        return self._position


def _seal_sum(sums: bytes | bytearray, length: int) -> int:
    return zlib.crc32(length.to_bytes(8, "little"), zlib.crc32(sums))
