"""HDF5 files with a seal: checksums of all their bytes, checked before HDF5 sees any of them.

HDF5 believes what a file says of itself: a flipped byte may be another number, or a search that
does not end. The seal stands behind the end of the HDF5 file, where its other readers do not look.
docs/artifacts.md is its specification.
"""

import os
import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import ArtifactError

BLOCK_BYTES = 2**16
MAGIC = b"slrseal1"

_END = struct.Struct("<IQ8s")
"""CRC-32 of what is before it in the seal and of the length; the length; MAGIC."""


def seal(path: str | Path) -> None:
    """Add the seal to a closed HDF5 file."""
    sums = bytearray()
    with open(path, "r+b") as file:
        while block := file.read(BLOCK_BYTES):
            sums += struct.pack("<I", zlib.crc32(block))
        length = file.tell()
        file.write(sums + _END.pack(_sum_of(sums, length), length, MAGIC))


def open_sealed(path: str | Path) -> h5py.File:
    """A sealed file, to be read. OSError if it has no seal, and when a damaged part is read.

    ArtifactError for one that would have HDF5 read other files.
    """
    file = h5py.File(os.fspath(path), "r", driver="fileobj", fileobj=_Sealed(path))
    for name in file:
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise ArtifactError(f"{path}: it links to other files; give a file that is whole")
        item = file[name]
        if isinstance(item, h5py.Dataset) and (item.is_virtual or item.external):
            raise ArtifactError(f"{path}: its data are in other files; give a file that is whole")
    return file


def check_sealed(path: str | Path) -> None:
    """Read all of a sealed file. OSError if it has no seal, and where a part is damaged."""
    file, buffer = _Sealed(path), memoryview(bytearray(16 * BLOCK_BYTES))
    while file.readinto(buffer):
        pass


class _Sealed:
    """What is before the seal, as the file that h5py reads. Each read looks at whole blocks."""

    def __init__(self, path: str | Path) -> None:
        self._place = 0
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._length, self._sums = self._seal()

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)

    def _seal(self) -> tuple[int, NDArray[np.uint32]]:
        """Length of the HDF5 file and the CRC-32 (blocks,) of its blocks."""
        size = os.fstat(self._file).st_size
        end = os.pread(self._file, _END.size, max(0, size - _END.size))
        if len(end) == _END.size:
            found, length, magic = _END.unpack(end)
            blocks = -(-length // BLOCK_BYTES)
            if magic == MAGIC and size == length + 4 * blocks + _END.size:
                sums = os.pread(self._file, 4 * blocks, length)
                if _sum_of(sums, length) == found:
                    return length, np.frombuffer(sums, "<u4")
        raise OSError("it ends without its seal, so it is short, of another version or foreign")

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer from the present place on; bytes that were there."""
        end = min(self._place + len(buffer), self._length)
        first = self._place // BLOCK_BYTES
        start = first * BLOCK_BYTES
        stop = min(-(-end // BLOCK_BYTES) * BLOCK_BYTES, self._length)
        blocks = memoryview(os.pread(self._file, max(0, stop - start), start))
        for number, at in enumerate(range(0, stop - start, BLOCK_BYTES), start=first):
            if zlib.crc32(blocks[at : at + BLOCK_BYTES]) != self._sums[number]:
                raise OSError(f"its bytes from {start + at} on are not those that were written")
        count = max(0, end - self._place)
        buffer[:count] = blocks[self._place - start : end - start]
        self._place += count
        return count

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; where that is."""
        self._place = place + {os.SEEK_SET: 0, os.SEEK_END: self._length}[whence]
        return self._place

    def tell(self) -> int:
        """The present place."""
        return self._place


def _sum_of(sums: bytes | bytearray, length: int) -> int:
    return zlib.crc32(length.to_bytes(8, "little"), zlib.crc32(sums))
