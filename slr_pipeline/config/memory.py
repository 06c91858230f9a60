"""Memory of trainings and predictions: the batches that exist at once, and all the rest.

The rules ask the cluster for it by these formulas, and a job fits its loading into what it was
given by the same ones.
"""

import math
from typing import assert_never

from slr_pipeline.config.recipes import TrainingSettings
from slr_pipeline.config.streams import (
    LandmarkSettings,
    R2plus1dSettings,
    SlgcnSettings,
    SstcnSettings,
    TrainedStream,
    VtnSettings,
)
from slr_pipeline.schema import LANDMARK_VALUES

MB = 10**6

PREFETCH = 2
"""Batches that each worker may have ready."""

MOST_IN_FLIGHT = 2000 * MB
"""Limit of the batches of a process, also where memory is plentiful: more do not load faster."""

WORKER_BYTES = 150 * MB
"""Memory of a worker beside its batches: what it does not share with the training."""

PROCESS_BYTES = {"cpu": 1000 * MB, "cuda": 4000 * MB}
"""Memory of a process beside model and batches: torch, and on a GPU CUDA's libraries."""

COPIES_OF_WEIGHTS = 6
"""Of a training: weights, gradients, two moments of Adam, the best epoch, and the saved state."""

CHANGE_BYTES = 40
"""Of `schema.Change`: five numbers."""


def item_bytes(stream: TrainedStream) -> int:
    """Bytes of a training item, as the data set gives it."""
    pixels = stream.size**2 if isinstance(stream, R2plus1dSettings | VtnSettings) else 0
    match stream:
        case SlgcnSettings():
            return 4 * 3 * stream.window * 27
        case LandmarkSettings():
            return 4 * LANDMARK_VALUES[stream.representation] * stream.frames
        case SstcnSettings():
            return stream.frames * 33 * 24 * 24 + CHANGE_BYTES
        case R2plus1dSettings():
            channels = 2 if stream.feature in ("flow", "depth_flow") else 3
            return stream.frames * channels * pixels + CHANGE_BYTES
        case VtnSettings():
            # `published` exchanges colour and depth, so depth has three channels, too.
            depth = 0 if not stream.depth else 2 if stream.fidelity == "corrected" else 6
            return stream.frames * ((6 + depth) * pixels + 4 * 106) + CHANGE_BYTES
        case _:
            assert_never(stream)


def in_flight(batch_bytes: int, workers: int, prefetch: int) -> int:
    """Most bytes of batches at once: ahead of the workers, in use, and copied to pinned memory."""
    return (workers * prefetch + 2) * batch_bytes


def affordable(batch_bytes: int, workers: int, room: int) -> tuple[int, int]:
    """Workers, and batches ahead of each, that fit into `room` bytes.

    First fewer batches ahead, then fewer workers; without any the process loads the items itself.
    """
    prefetch = PREFETCH
    while workers and in_flight(batch_bytes, workers, prefetch) > room:
        if prefetch > 1:
            prefetch -= 1
        else:
            workers -= 1
    return workers, prefetch


def fixed_bytes(device: str, weights_bytes: int, workers: int) -> int:
    """Memory of a training process beside batches and activations; `device` is `cpu` or `cuda`."""
    return PROCESS_BYTES[device] + COPIES_OF_WEIGHTS * weights_bytes + workers * WORKER_BYTES


def training_mb(stream: TrainedStream, recipe: TrainingSettings, device: str, threads: int) -> int:
    """Memory in MB of a training's processes on one machine, each with some `threads`."""
    share = math.ceil(recipe.batch_size / (stream.gpus * stream.nodes))
    at_once = min(recipe.micro_batch or share, share)
    return stream.gpus * _process_mb(stream, device, threads, share, at_once)


def prediction_mb(stream: TrainedStream, device: str, threads: int) -> int:
    """Memory in MB of a prediction, which takes clip by clip on a CPU."""
    batch = 1 if device == "cpu" else stream.training.batch_size
    return _process_mb(stream, device, threads, batch, batch, models=stream.seeds)


def _process_mb(
    stream: TrainedStream, device: str, threads: int, batch: int, at_once: int, models: int = 1
) -> int:
    batch_bytes = batch * item_bytes(stream)
    workers = 0 if device == "cpu" else threads - 1
    workers, prefetch = affordable(batch_bytes, workers, MOST_IN_FLIGHT)
    weights, activations = _model_bytes(stream)
    total = fixed_bytes(device, models * weights, workers)
    total += in_flight(batch_bytes, workers, prefetch)
    if device == "cpu":
        total += at_once * activations
    return math.ceil(total / MB)


def _model_bytes(stream: TrainedStream) -> tuple[int, int]:
    """Bytes of the weights, and of what one item keeps for the backward pass on a CPU.

    Measured at published sizes (docs/how-to/slurm.md), and in proportion to width and pixels;
    weights are not scaled.
    """
    match stream:
        case SlgcnSettings():
            return 16 * MB, 105 * MB * stream.width * stream.window // (64 * 100)
        case LandmarkSettings():
            return 4 * MB, 5 * MB * stream.width * stream.blocks * stream.frames // (128 * 2 * 48)
        case SstcnSettings():
            return 230 * MB, 151 * MB * stream.frames // 60
        case R2plus1dSettings():
            scale = stream.width * stream.frames * stream.size**2 / (64 * 32 * 128**2)
            return 126 * MB, round(1956 * MB * scale)
        case VtnSettings():
            scale = stream.backbone_width * stream.frames * stream.size**2 / (64 * 16 * 224**2)
            return 213 * MB, round(1086 * MB * scale * (2 if stream.depth else 1))
        case _:
            assert_never(stream)
