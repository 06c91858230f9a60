"""Training and evaluation items of a stream as a torch data set."""

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from slr_pipeline.errors import SlrError
from slr_pipeline.schema import SampleView

ItemFactory = Callable[[str, SampleView, np.random.Generator | None], Sequence[NDArray[Any]]]
"""Makes an item's arrays from the name of a sample, a view and a random generator (None: no
augmentation)."""

Prepare = Callable[[Sequence[Tensor], torch.device], list[Tensor]]
"""Makes the inputs of a model, on its device, from those of a batch, on the CPU."""

Item = tuple[tuple[Tensor, ...], int, str]
"""Inputs of `prepare`, label (-1 if unknown), name of the sample."""


def moved(inputs: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """The items themselves, as inputs of a model on the device."""
    return [part.to(device, non_blocking=True) for part in inputs]


class StreamDataset(Dataset[Item]):
    """Items of samples, given as (name, label) pairs: one per sample and view.

    Data loader workers call `make`, so it must survive a fork, or pickling where workers are
    spawned: open files on first use. With `train` items are augmented: an item depends on (seed,
    epoch, name) only, not on the worker or the order. `prepare` ends the way to the model.
    """

    def __init__(
        self,
        make: ItemFactory,
        samples: Sequence[tuple[str, int]],
        *,
        train: bool,
        seed: int = 0,
        views: Sequence[SampleView] = (SampleView(),),
        prepare: Prepare = moved,
    ) -> None:
        self.names = tuple(name for name, _ in samples)
        self.labels = tuple(label for _, label in samples)
        self.views = tuple(views)
        self.prepare = prepare
        self._make = make
        self._train = train
        self._seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the augmentation."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Number of samples times views."""
        return len(self.names) * len(self.views)

    def __getitem__(self, index: int) -> Item:
        """Return one item: a view of sample number index // views."""
        sample, view = divmod(index, len(self.views))
        name = self.names[sample]
        rng = None
        if self._train:
            key = zlib.crc32(name.encode())  # independent of the list of samples
            rng = np.random.default_rng((self._seed, self.epoch, key))
        try:
            arrays = self._make(name, self.views[view], rng)
        except SlrError:  # its message names the sample
            raise
        except Exception as error:
            error.add_note(f"sample {name}")
            raise
        return tuple(map(torch.from_numpy, arrays)), self.labels[sample], name
