"""A small task: four movements of the left hand, with noise and missing keypoints."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from slr_pipeline.data.dataset import StreamDataset
from slr_pipeline.models.slgcn import SLGCN
from slr_pipeline.skeleton import BONES_27, KEYPOINTS_133, LEFT_HAND
from tests.data.test_skeleton_transform import CORRECTED

MOVED = [KEYPOINTS_133.index(f"left_{part}") for part in ("elbow", "wrist")] + list(LEFT_HAND)
TRANSFORM = replace(CORRECTED, frames=32, window=24, flip_probability=0.25)


def movement(name: str) -> NDArray[np.float32]:
    """Keypoints of the clip `<label>_<number>`: left-right, up-down, a circle, or a slope."""
    label, number = (int(part) for part in name.split("_"))
    rng = np.random.default_rng(number)
    T = int(rng.integers(20, 60))
    time = np.linspace(0, 1, T)
    angle = 2 * np.pi * (rng.uniform(1.5, 2.5) * time + rng.uniform())
    wave, turn, slope = np.sin(angle), np.cos(angle), 2 * time - 1
    path = [(wave, 0 * time), (0 * time, wave), (wave, turn), (slope, slope)][label]
    person = np.random.default_rng(0).uniform(-60, 60, (133, 2)) + 256
    keypoints = np.zeros((T, 133, 3), np.float32)
    keypoints[..., :2] = person + rng.uniform(-30, 30, 2) + rng.normal(0, 2, (T, 133, 2))
    keypoints[:, MOVED, :2] += rng.uniform(40, 80) * np.stack(path, axis=-1)[:, None]
    keypoints[..., 2] = 0.9
    keypoints[rng.random((T, 133)) < 0.1] = 0
    return keypoints


def skeleton(name: str, view: object, rng: np.random.Generator | None) -> list[NDArray[Any]]:
    return [TRANSFORM(movement(name), rng)]


Clips = Callable[..., StreamDataset]


@pytest.fixture
def clips() -> Clips:
    """`clips(numbers, train=...)`: a data set of these clips, labels in turn."""

    def dataset(numbers: Sequence[int], *, train: bool = False, **more: Any) -> StreamDataset:
        samples = [(f"{number % 4}_{number}", number % 4) for number in numbers]
        options = {"make": skeleton, "samples": samples, **more}
        return StreamDataset(**options, train=train, seed=1)

    return dataset


@pytest.fixture
def slgcn() -> Callable[[], SLGCN]:
    """Small networks, all with the same start weights."""

    def make() -> SLGCN:
        torch.manual_seed(1)
        return SLGCN(classes=4, joints=27, bones=BONES_27, width=8, groups=8)

    return make
