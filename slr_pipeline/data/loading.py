"""Batches of data sets, loaded in this process or in worker processes."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.errors import SlrError

Batch = tuple[Sequence[Tensor], Tensor, Sequence[str]]
"""Inputs of `prepare` (B, ...), labels (B,), names."""

Place = tuple[int, int, int]
"""Number of a data set, epoch, index of an item: workers outlive an epoch, so each item has it."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
"""Signals that a cluster sends to every process of a job before it kills the job."""

SHARED_MEMORY = "/dev/shm"
"""Where workers put batches; containers often have 64 MB there."""


class Loader:
    """Loads batches of some data sets, in this process or in workers that live until `close`.

    Each worker has up to `prefetch` batches ready. Batches are equal for any `workers`. An SlrError
    in a worker is raised here with its own one-line message, without the worker's traceback.
    Workers obey STOP_SIGNALS from the reading process only: when a cluster signals every process,
    the reading process decides when to stop.
    """

    def __init__(
        self,
        *datasets: StreamDataset,
        workers: int = 0,
        prefetch: int = 2,
        pin_memory: bool = False,
    ) -> None:
        cv2.setNumThreads(1)  # workers inherit this; they share the cores
        self._datasets = datasets
        self._workers = workers
        self._order: list[list[Place]] = []
        self._loader: DataLoader[Any] = DataLoader(
            _Batches(datasets, workers),
            batch_sampler=self._order,
            num_workers=workers,
            collate_fn=_whole,
            pin_memory=pin_memory,
            # Without this the loader draws from torch's global generator.
            generator=torch.Generator().manual_seed(0),
            worker_init_fn=_obey_parent_only,
            prefetch_factor=prefetch if workers else None,
            persistent_workers=workers > 0,
        )

    def __enter__(self) -> "Loader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers."""
        workers = self._loader._iterator
        if isinstance(workers, _MultiProcessingDataLoaderIter):
            workers._shutdown_workers()

    def batches(
        self, dataset: StreamDataset, *, batch_size: int, order: Sequence[int] | None = None
    ) -> Iterator[Batch]:
        """Yield batches of one of the data sets, of the epoch it is set to.

        `order` are indices; None: 0, 1, ... One such iteration at a time.
        """
        number = next(n for n, other in enumerate(self._datasets) if other is dataset)
        chosen = range(len(dataset)) if order is None else order
        places = [(number, dataset.epoch, index) for index in chosen]
        self._order[:] = [
            places[start : start + batch_size] for start in range(0, len(places), batch_size)
        ]
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # workers inherit this
        try:
            loaded = iter(self._loader)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        try:
            for inputs, labels, names in loaded:
                yield [torch.as_tensor(part) for part in inputs], torch.tensor(labels), names
        except SlrError as error:
            if self._workers == 0:
                raise
            last_line = str(error).strip().splitlines()[-1]
            raise type(error)(last_line.partition(": ")[2]) from error


def batches(
    dataset: StreamDataset,
    *,
    batch_size: int,
    order: Sequence[int] | None = None,
    workers: int = 0,
) -> Iterator[Batch]:
    """Yield batches in the given order of indices, as a `Loader` of its own."""
    with Loader(dataset, workers=workers) as loader:
        yield from loader.batches(dataset, batch_size=batch_size, order=order)


class _Batches(Dataset[Any]):
    """Whole batches of data sets by the places of their items.

    Items are written where the batch stays, one after the other, so that a worker holds a batch
    once. That is shared memory, unless it lacks room for a batch of every worker: then a batch is
    arrays, which are copied through a pipe. A write to shared memory that is full kills the worker
    with SIGBUS.
    """

    def __init__(self, datasets: Sequence[StreamDataset], workers: int) -> None:
        self._datasets = datasets
        self._workers = workers

    def __getitem__(self, place: Place) -> Any:
        return self.__getitems__([place])

    def __getitems__(self, places: Sequence[Place]) -> Any:
        parts: list[Tensor] = []
        shared = True
        labels, names = [], []
        for row, (number, epoch, index) in enumerate(places):
            dataset = self._datasets[number]
            dataset.set_epoch(epoch)
            inputs, label, name = dataset[index]
            if not parts:
                shared = self._shares(len(places) * sum(part.nbytes for part in inputs))
                parts = [_empty(part, len(places), shared) for part in inputs]
            for part, values in zip(parts, inputs, strict=True):
                part[row] = values
            labels.append(label)
            names.append(name)
        if self._workers and not shared:
            return [part.numpy() for part in parts], labels, names
        return parts, labels, names

    def _shares(self, batch_bytes: int) -> bool:
        return self._workers > 0 and shared_bytes() > (self._workers + 1) * batch_bytes


def _empty(item: Tensor, count: int, shared: bool) -> Tensor:
    """Room for `count` tensors like `item`; shared without a copy, as in torch's collation."""
    if not shared:
        return item.new_empty((count, *item.shape))
    storage = torch.UntypedStorage._new_shared(count * item.nbytes)  # type: ignore[no-untyped-call]
    return item.new_empty(0).set_(storage).resize_(count, *item.shape)


def _whole(batch: Any) -> Any:
    return batch


def shared_bytes() -> int:
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
