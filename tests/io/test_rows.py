"""Rows are those that h5py reads, however the dataset is stored."""

import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from slr_pipeline.io.rows import Rows

LAYOUTS: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "chunks": {"chunks": (5, 3)},
    "gzip": {"chunks": (5, 3), "compression": "gzip"},
    "shuffle": {"chunks": (5, 3), "compression": "gzip", "shuffle": True},
    "one chunk": {"chunks": (64, 3), "compression": "gzip", "maxshape": (None, 3)},
    "parts of rows": {"chunks": (5, 2), "compression": "gzip", "shuffle": True},
    "fletcher32": {"chunks": (5, 3), "compression": "gzip", "fletcher32": True},
    "lzf": {"chunks": (5, 3), "compression": "lzf", "shuffle": True},
}


def values(dtype: str) -> np.ndarray:
    """Rows (37, 3): some repeat, others are noise."""
    noise = np.random.default_rng(0).integers(0, 1 << 30, (37, 3))
    noise[:20] //= 1 << 29
    return noise.astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float64", ">i2"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_slices(tmp_path: Path, layout: str, dtype: str) -> None:
    expected = values(dtype)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        rows = Rows(file.create_dataset("x", data=expected, **LAYOUTS[layout]))
        for start in range(38):
            for stop in range(start, 38):
                read = rows[start:stop]
                assert read.dtype == expected.dtype
                assert np.array_equal(read, expected[start:stop])
        rows[0:9][:] = 0  # a copy
        assert np.array_equal(rows[0:9], expected[0:9])


def test_a_chunk_that_is_not_compressed(tmp_path: Path) -> None:
    expected = values("uint8")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("x", data=expected, **LAYOUTS["gzip"])
        dataset.id.write_direct_chunk((5, 0), expected[5:10].tobytes(), 1)
        assert np.array_equal(Rows(dataset)[3:12], expected[3:12])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda chunk: chunk[:-1], "rows from 5 on are not the 60 bytes of a chunk"),
        (lambda chunk: b"x" * len(chunk), "rows from 5 on cannot be decompressed"),
        (lambda chunk: zlib.compress(b"short"), "rows from 5 on are not the 60 bytes of a chunk"),
        (lambda chunk: zlib.compress(bytes(10**7)), "rows from 5 on are not the 60 bytes"),
    ],
)
def test_damage_is_an_oserror(tmp_path: Path, damage: Any, reason: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("x", data=values("int32"), **LAYOUTS["gzip"])
        mask, chunk = dataset.id.read_direct_chunk((5, 0))
        dataset.id.write_direct_chunk((5, 0), damage(chunk), mask)
        rows = Rows(dataset)
        assert np.array_equal(rows[0:5], values("int32")[:5])
        with pytest.raises(OSError, match=reason):
            rows[4:6]
