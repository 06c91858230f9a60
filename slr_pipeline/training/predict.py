"""Logits of a trained model."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.data.loading import batches


@torch.no_grad()
def predict(
    model: nn.Module,
    dataset: StreamDataset,
    *,
    batch_size: int,
    device: torch.device | str = "cpu",
    workers: int = 0,
    samples: Sequence[int] | None = None,
    advance: Callable[[int], None] = lambda clips: None,
) -> NDArray[np.float32]:
    """Logits (N, K) float32 in the order of `dataset.names`, N >= 1; the mean over its views.

    With `samples` only of those, by their numbers. The model is moved to `device` and left in eval
    mode, in which batches do not matter. `advance` is told how many more clips are done, of which a
    sample has one a view.
    """
    views = len(dataset.views)
    chosen = range(len(dataset.names)) if samples is None else samples
    order = [sample * views + view for sample in chosen for view in range(views)]
    model.to(device).eval()
    logits = []
    for inputs, _, names in batches(dataset, batch_size=batch_size, order=order, workers=workers):
        logits.append(model(*(part.to(device) for part in inputs)).float().cpu())
        advance(len(names))
    rows = torch.cat(logits).numpy().reshape(len(chosen), views, -1)
    return np.asarray(rows.mean(axis=1), np.float32)
