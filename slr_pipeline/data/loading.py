"""Batches of a data set, made in this process or in worker processes."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.errors import SlrError

Batch = tuple[Sequence[Tensor], Tensor, Sequence[str]]
"""What the model takes (B, ...), labels (B,), names."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
"""What a cluster sends to every process of a job before it ends it."""


def batches(
    dataset: StreamDataset,
    *,
    batch_size: int,
    order: Sequence[int] | None = None,
    drop_last: bool = False,
    workers: int = 0,
    pin_memory: bool = False,
) -> Iterator[Batch]:
    """Batches in the given order of indices (None: as they are), the same for any `workers`.

    An SlrError met in a worker comes out as it was raised: the loader itself would wrap its one
    line in the worker's traceback. Workers take STOP_SIGNALS from the process that reads the
    batches only: from others they are for that process, which without workers could not stop in
    order.
    """
    cv2.setNumThreads(1)  # also of workers, which inherit it: they share the cores
    loader = DataLoader(
        dataset,
        batch_size,
        sampler=range(len(dataset)) if order is None else order,
        drop_last=drop_last,
        num_workers=workers,
        pin_memory=pin_memory,
        # An own generator: the loader would else draw from torch's global one.
        generator=torch.Generator().manual_seed(0),
        worker_init_fn=_obey_the_parent_alone,
    )
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # workers inherit this
    try:
        loaded = iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        yield from loaded
    except SlrError as error:
        if workers == 0:
            raise
        last_line = str(error).strip().splitlines()[-1]
        raise type(error)(last_line.partition(": ")[2]) from error


def _obey_the_parent_alone(worker: int) -> None:
    """End this worker, in which STOP_SIGNALS are blocked, when its parent terminates it."""
    parent = os.getppid()

    def wait() -> None:
        while signal.sigwaitinfo(STOP_SIGNALS).si_pid != parent:
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()
