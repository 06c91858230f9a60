"""Batches of a data set, made in this process or in worker processes."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from slr_pipeline.data.dataset import SkeletonDataset
from slr_pipeline.errors import SlrError

Batch = tuple[Tensor, Tensor, Sequence[str]]
"""Skeletons (B, 3, T, 27), labels (B,), names."""


def batches(
    dataset: SkeletonDataset,
    *,
    batch_size: int,
    order: Sequence[int] | None = None,
    drop_last: bool = False,
    workers: int = 0,
    pin_memory: bool = False,
) -> Iterator[Batch]:
    """Batches in the given order of indices (None: as they are), the same for any `workers`.

    An SlrError met in a worker comes out as it was raised: the loader itself would wrap its one
    line in the worker's traceback.
    """
    loader = DataLoader(
        dataset,
        batch_size,
        sampler=range(len(dataset)) if order is None else order,
        drop_last=drop_last,
        num_workers=workers,
        pin_memory=pin_memory,
        # An own generator: the loader would else draw from torch's global one.
        generator=torch.Generator().manual_seed(0),
    )
    try:
        yield from loader
    except SlrError as error:
        if workers == 0:
            raise
        last_line = str(error).strip().splitlines()[-1]
        raise type(error)(last_line.partition(": ")[2]) from error
