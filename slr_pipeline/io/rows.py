"""Reads rows of an HDF5 dataset of numbers, faster than libhdf5 decompresses them."""

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from zlib_ng import zlib_ng


class Rows:
    """`rows[start:end]` are rows of a dataset, decompressed by zlib-ng.

    libhdf5 uses zlib, which is four times as slow. Datasets that are not in compressed chunks of
    whole rows are left to libhdf5.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        self.dataset = dataset
        self._width: tuple[int, ...] = dataset.shape[1:]
        self._chunk: tuple[int, ...] = dataset.chunks or ()
        self._shuffled = dataset.shuffle and dataset.dtype.itemsize > 1
        whole_rows = self._chunk[1:] == self._width
        self._direct = dataset.compression == "gzip" and whole_rows and not dataset.fletcher32

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """The rows from `start` to `stop`, which are numbers. OSError for damaged bytes."""
        if not self._direct:
            read: NDArray[Any] = self.dataset[rows]
            return read
        start, stop = rows.start, rows.stop
        values = np.empty((stop - start, *self._width), self.dataset.dtype)
        step = self._chunk[0]
        for first in range(start // step * step, stop, step):
            chunk = self._decompressed(first)
            begin, end = max(start, first), min(stop, first + step)
            values[begin - start : end - start] = chunk[begin - first : end - first]
        return values

    def _decompressed(self, first: int) -> NDArray[Any]:
        """The chunk of rows from `first` on."""
        at = (first, *(0 for _ in self._width))
        skipped_filters, stored = self.dataset.id.read_direct_chunk(at)
        if skipped_filters:
            chunk: NDArray[Any] = self.dataset[first : first + self._chunk[0]]
            return chunk
        dtype = self.dataset.dtype
        size = int(np.prod(self._chunk)) * dtype.itemsize
        decoder = zlib_ng.decompressobj()
        try:
            data = decoder.decompress(stored, size + 1)  # of a hostile file no more
        except zlib_ng.error as error:  # type: ignore[misc]  # its stub has an instance
            raise OSError(f"its rows from {first} on cannot be decompressed ({error})") from error
        if len(data) != size or not decoder.eof:
            raise OSError(f"its rows from {first} on are not the {size} bytes of a chunk")
        if self._shuffled:  # first bytes of all numbers, then second bytes ...
            planes = np.frombuffer(data, np.uint8).reshape(dtype.itemsize, -1)
            data = planes.T.tobytes()
        return np.frombuffer(data, dtype).reshape(self._chunk)
