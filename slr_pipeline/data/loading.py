"""Batches of a data set, loaded in this process or in worker processes."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.errors import SlrError

Batch = tuple[Sequence[Tensor], Tensor, Sequence[str]]
"""Inputs of the model (B, ...), labels (B,), names."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
"""Signals that a cluster sends to every process of a job before it kills the job."""

SHARED_MEMORY = "/dev/shm"
"""Where workers put batches; containers often have 64 MB there."""


def batches(
    dataset: StreamDataset,
    *,
    batch_size: int,
    order: Sequence[int] | None = None,
    workers: int = 0,
    pin_memory: bool = False,
) -> Iterator[Batch]:
    """Yield batches in the given order of indices (None: 0, 1, ...), equal for any `workers`.

    An SlrError in a worker is raised here with its own one-line message, without the worker's
    traceback that the loader adds. Workers obey STOP_SIGNALS from the reading process only: when a
    cluster signals every process, the reading process decides when to stop.
    """
    cv2.setNumThreads(1)  # workers inherit this; they share the cores
    loader = DataLoader(
        dataset,
        batch_size,
        sampler=range(len(dataset)) if order is None else order,
        num_workers=workers,
        collate_fn=partial(_collate, workers=workers),
        pin_memory=pin_memory,
        # Without this the loader draws from torch's global generator.
        generator=torch.Generator().manual_seed(0),
        worker_init_fn=_obey_parent_only,
    )
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # workers inherit this
    try:
        loaded = iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        for inputs, labels, names in loaded:
            yield [torch.as_tensor(part) for part in inputs], torch.as_tensor(labels), names
    except SlrError as error:
        if workers == 0:
            raise
        last_line = str(error).strip().splitlines()[-1]
        raise type(error)(last_line.partition(": ")[2]) from error


def _collate(items: list[Any], workers: int) -> Any:
    """A batch of tensors; of arrays where shared memory lacks room for a batch of every worker.

    Arrays are copied through a pipe. A tensor is shared, and a write to shared memory that is full
    kills the worker with SIGBUS.
    """
    inputs, labels, names = zip(*items, strict=True)
    batch_bytes = len(items) * sum(part.nbytes for part in inputs[0])
    if workers == 0 or _shared_bytes() > (workers + 1) * batch_bytes:
        return default_collate(items)
    arrays = [torch.stack(parts).numpy() for parts in zip(*inputs, strict=True)]
    return arrays, np.array(labels), names


def _shared_bytes() -> int:
    """Free shared memory."""
    try:
        disk = os.statvfs(SHARED_MEMORY)
    except OSError:
        return 0
    return disk.f_bavail * disk.f_frsize


def _obey_parent_only(worker: int) -> None:
    """Exit this worker, which blocks STOP_SIGNALS, when its parent sends one."""
    parent = os.getppid()

    def wait() -> None:
        while signal.sigwaitinfo(STOP_SIGNALS).si_pid != parent:
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()
