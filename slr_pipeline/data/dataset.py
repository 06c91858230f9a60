"""The training and evaluation items of a stream, as a torch data set."""

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from slr_pipeline.errors import SlrError

Make = Callable[[str, int, np.random.Generator | None], Sequence[NDArray[Any]]]
"""From a sample's name, the number of a view and a generator (None: no augmentation): the arrays a
model takes."""

Item = tuple[tuple[Tensor, ...], int, str]
"""What the model takes, label (-1 if unknown), name of the sample."""


class StreamDataset(Dataset[Item]):
    """Items of samples.

    Args:
        make: gives the arrays of an item. It is called in the workers of a data loader, so it must
            survive a fork, or pickling where workers are spawned: open files on first use.
        samples: (name, label) pairs; label -1 where unknown. Quarantined samples are left out.
        train: whether items are augmented.
        seed: of the augmentation; an item depends on (seed, epoch, name) only, whichever worker
            makes it, in whichever order.
        views: which views of a sample are items of their own, one after another; the views of a
            model that sees more than one clip of a video.
    """

    def __init__(
        self,
        make: Make,
        samples: Sequence[tuple[str, int]],
        *,
        train: bool,
        seed: int = 0,
        views: Sequence[int] = (0,),
    ) -> None:
        self.names = tuple(name for name, _ in samples)
        self.labels = tuple(label for _, label in samples)
        self.views = tuple(views)
        self._make = make
        self._train = train
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the augmentation of an epoch. Call it before a data loader starts its workers."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Samples times views."""
        return len(self.names) * len(self.views)

    def __getitem__(self, index: int) -> Item:
        """One item: a view of sample number index // views."""
        sample, view = divmod(index, len(self.views))
        name = self.names[sample]
        rng = None
        if self._train:
            key = zlib.crc32(name.encode())  # the same sample in any list of samples
            rng = np.random.default_rng((self._seed, self._epoch, key))
        try:
            arrays = self._make(name, self.views[view], rng)
        except SlrError:  # names it itself
            raise
        except Exception as error:
            error.add_note(f"sample {name}")
            raise
        return tuple(map(torch.from_numpy, arrays)), self.labels[sample], name
