"""Feature files of made-up clips, with the shapes and about the JPEG sizes of real ones."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from slr_pipeline.features.heatmaps import draw_heatmaps
from slr_pipeline.io.feature_writer import NewClip, create_feature_file
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.schema import FEATURES

OCTAVES = {4: 45.0, 16: 25.0, 48: 8.0}
"""Contrast of the blobs of a picture by their number across; its JPEG then has the size of real
ones (`FRAME_COSTS` of slr_pipeline/planning/rates.py)."""

FLOW_OCTAVES = {4: 6.0, 16: 3.0}
"""Of flow, which is smooth and mostly still."""


def write_clips(
    folder: Path, features: Iterable[str], *, clips: int, frames: int
) -> dict[str, FeatureStore]:
    """Write one file per feature with the clips clip0, clip1, ...; returns their stores."""
    stores = {}
    for feature in features:
        path = folder / f"{feature}.h5"
        length = FEATURES[feature].frames or frames
        with create_feature_file(path, feature, {}, {}) as writer:
            for number in range(clips):
                values = _values(feature, length, np.random.default_rng(number))
                box = np.array([128, 96, 384, 352], np.int32)
                writer.add(NewClip(f"clip{number}", values, 512, 512, fps=30.0, boxes=box))
        stores[feature] = FeatureStore(feature, [path])
    return stores


def _values(feature: str, T: int, rng: np.random.Generator) -> Iterator[NDArray[Any]]:
    """The T frames of a clip."""
    schema = FEATURES[feature]
    if feature == "keypoints":
        yield from _keypoints(T, rng)
    elif feature == "heatmaps":
        yield from draw_heatmaps(
            _keypoints(T, rng), width=512, height=512, sigma=3.0, fidelity="corrected"
        )
    elif schema.pictures:
        octaves = FLOW_OCTAVES if "flow" in feature else OCTAVES
        still = _texture(schema.shape, octaves, rng)
        across = schema.dims.index("x")
        for frame in range(T):  # the picture moves to the side
            yield np.roll(still, 2 * frame, axis=across - 1)
    else:
        yield from rng.uniform(-1, 1, (T, *schema.shape)).astype(schema.dtype)


def _keypoints(T: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Keypoints (T, 133, 3) that wander about."""
    steps = rng.normal(0, 3, (T, 133, 2))
    steps[0] = rng.uniform(100, 400, (133, 2))
    scores = np.full((T, 133, 1), 0.9)
    return np.concatenate([steps.cumsum(axis=0), scores], axis=2).astype(np.float32)


def _texture(
    shape: tuple[int, ...], octaves: dict[int, float], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Smooth blobs about grey, with correlated colours."""
    channels = 3 if shape[-1] == 3 else 1
    pictures = []
    for _ in range(int(np.prod(shape)) // (256 * 256 * channels)):
        picture = np.full((256, 256, 1), 128.0)
        for blobs, contrast in octaves.items():
            noise = rng.normal(0, contrast, (blobs, blobs))
            picture[..., 0] += cv2.resize(noise, (256, 256), interpolation=cv2.INTER_CUBIC)
        pictures.append(picture * np.linspace(1.0, 0.7, channels))
    return np.clip(np.stack(pictures), 0, 255).astype(np.uint8).reshape(shape)
