"""Logits of a trained model."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from slr_pipeline.data.dataset import SkeletonDataset
from slr_pipeline.data.loading import batches


@torch.no_grad()
def predict(
    model: nn.Module,
    dataset: SkeletonDataset,
    *,
    batch_size: int,
    device: torch.device | str = "cpu",
    workers: int = 0,
) -> NDArray[np.float32]:
    """Logits (N, K) float32 in the order of `dataset.names`, N >= 1.

    The model is moved to `device` and left in eval mode, in which batches do not matter.
    """
    model.to(device).eval()
    logits = [
        model(skeletons.to(device)).float().cpu()
        for skeletons, _, _ in batches(dataset, batch_size=batch_size, workers=workers)
    ]
    return torch.cat(logits).numpy()
