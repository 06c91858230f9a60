"""The training and evaluation items of a stream, as a torch data set."""

import zlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from slr_pipeline.data.transforms import SkeletonTransform
from slr_pipeline.errors import DataError

Read = Callable[[str], tuple[NDArray[np.float32], int, int]]
"""From a sample's name: keypoints (T, 133, 3), width and height of the frame in pixels."""

Item = tuple[Tensor, int, str]
"""Skeleton (3, T, 27), label (-1 if unknown), name of the sample."""


class SkeletonDataset(Dataset[Item]):
    """Skeletons of samples.

    Args:
        read: gives the keypoints of a sample. It is called in the workers of a data loader, so it
            must survive a fork, or pickling where workers are spawned: open files on first use.
        samples: (name, label) pairs; label -1 where unknown. Quarantined samples are left out.
        transform: keypoints to skeleton.
        train: whether items are augmented.
        seed: of the augmentation; an item depends on (seed, epoch, name) only, whichever worker
            makes it, in whichever order.
    """

    def __init__(
        self,
        read: Read,
        samples: Sequence[tuple[str, int]],
        *,
        transform: SkeletonTransform,
        train: bool,
        seed: int = 0,
    ) -> None:
        self.names = tuple(name for name, _ in samples)
        self.labels = tuple(label for _, label in samples)
        self._read = read
        self._transform = transform
        self._train = train
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the augmentation of an epoch. Call it before a data loader starts its workers."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Item:
        """One item. DataError for a sample without frames or with values that are not finite."""
        name = self.names[index]
        keypoints, width, height = self._read(name)
        if len(keypoints) == 0:
            raise DataError(f"{name}: no frames; a quarantined sample cannot be an item")
        if not np.isfinite(keypoints).all():
            raise DataError(f"{name}: keypoints have NaN or infinite values; make them again")
        rng = None
        if self._train:
            key = zlib.crc32(name.encode())  # the same sample in any list of samples
            rng = np.random.default_rng((self._seed, self._epoch, key))
        skeleton = self._transform(keypoints, width, height, rng)
        return torch.from_numpy(skeleton), self.labels[index], name
