"""The one place where the settings of a stream meet its model, its features and its transforms."""

from collections.abc import Sequence
from functools import partial
from typing import assert_never

import numpy as np
from numpy.typing import NDArray
from torch import nn

from slr_pipeline.config import StreamSettings
from slr_pipeline.data.dataset import SkeletonDataset
from slr_pipeline.data.transforms import SkeletonTransform
from slr_pipeline.io.artifacts import FeatureStore
from slr_pipeline.models.slgcn import SLGCN
from slr_pipeline.skeleton import BONES_27, JOINTS_27


def build_model(settings: StreamSettings, classes: int) -> nn.Module:
    """The untrained model of a stream; its weights come from torch's global generator."""
    match settings.model:
        case "slgcn":
            joints = len(JOINTS_27)
            return SLGCN(classes=classes, joints=joints, bones=BONES_27, width=settings.width)
        case _:
            assert_never(settings.model)


def build_dataset(
    settings: StreamSettings,
    keypoints: FeatureStore,
    samples: Sequence[tuple[str, int]],
    *,
    train: bool,
    seed: int,
) -> SkeletonDataset:
    """The items of a stream: (name, label) pairs of samples that have frames."""
    transform = SkeletonTransform(
        fidelity=settings.fidelity,
        representation=settings.representation,
        frames=settings.frames,
        window=settings.window,
        flip_probability=settings.flip_probability,
        shift_px=settings.shift_px,
        rotation_deg=settings.rotation_deg,
        scale_range=settings.scale_range,
    )
    read = partial(_read_keypoints, keypoints)
    return SkeletonDataset(read, samples, transform=transform, train=train, seed=seed)


def _read_keypoints(store: FeatureStore, sample: str) -> tuple[NDArray[np.float32], int, int]:
    clip = store.read(sample)
    return clip.values, clip.width, clip.height
