"""Batches from worker processes, on machines with little or no shared memory."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.machines import NEEDS_OWN_MOUNTS, mounted

ROOT = Path(__file__).parents[2]

LOAD = """
import numpy as np
import torch
from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.data.loading import batches
from slr_pipeline.training.device import loading_workers

def make(name, view, rng):
    return [rng.random((64, 2**12), np.float32), np.full(2, 3, np.float32)]

def loaded(workers):
    data = StreamDataset(make, [(f"s{i}", i % 3) for i in range(40)], train=True, seed=1)
    return list(batches(data, batch_size=16, workers=workers))

if workers := loading_workers(torch.device("cuda"), 3):
    for (a, b, c), (x, y, z) in zip(loaded(0), loaded(workers), strict=True):
        assert all(map(torch.equal, [*a, b], [*x, y])) and list(c) == list(z)
print(workers)
"""


@NEEDS_OWN_MOUNTS
@pytest.mark.parametrize(
    ("options", "workers"), [("size=64k", 2), ("size=20m", 2), ("size=64m", 2), ("ro", 0)]
)
def test_batches_are_equal_with_little_shared_memory(options: str, workers: int) -> None:
    """A batch has 16 MB."""
    done = subprocess.run(
        [*mounted("/dev/shm", options), sys.executable, "-c", LOAD],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"{workers}\n"), done.stderr
