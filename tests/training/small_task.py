"""Three clouds of points to tell apart, and small networks that do; fast and whole in one file."""

import time
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from slr_pipeline.config.recipes import TrainingSettings
from slr_pipeline.data.dataset import StreamDataset

K = 3
CENTRES = np.random.default_rng(5).normal(size=(K, 6))


def point(
    name: str, view: object, rng: np.random.Generator | None, *, wait_s: float = 0
) -> list[NDArray[Any]]:
    """Two arrays, (4,) and (2,), of the sample `<label>_<number>`; training items are moved."""
    time.sleep(wait_s)
    label, number = (int(part) for part in name.split("_"))
    values = CENTRES[label] + np.random.default_rng(number).normal(size=6)
    if rng is not None:
        values = values + rng.normal(0, 0.1, size=6)
    values = values.astype(np.float32)
    return [values[:4], values[4:]]


def points(count: int, *, train: bool = False, wait_s: float = 0) -> StreamDataset:
    first = 0 if train else 1000
    samples = [(f"{number % K}_{number}", number % K) for number in range(first, first + count)]
    return StreamDataset(partial(point, wait_s=wait_s), samples, train=train, seed=1)


class Net(nn.Module):
    """Of both parts of a point; dropout and batch norm as asked for."""

    def __init__(self, *, dropout: float = 0.0, norm: bool = False) -> None:
        super().__init__()
        self.hidden = nn.Linear(6, 16)
        self.norm: nn.Module = nn.BatchNorm1d(16) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(16, K)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        z = torch.relu(self.norm(self.hidden(torch.cat([x, y], dim=1))))
        logits: Tensor = self.classifier(self.dropout(z))
        return logits


def net(**options: Any) -> Net:
    torch.manual_seed(0)
    return Net(**options)


def recipe(**changes: Any) -> TrainingSettings:
    short: dict[str, Any] = {"epochs": 2, "batch_size": 6, "learning_rate": 0.01}
    short |= {"overfit_steps": 0, "deterministic": True}
    return TrainingSettings(**{**short, **changes})
