"""Forecast GPU memory and hours of every stream of a config, without a GPU.

Each model is built on torch's meta device. Memory: weights, gradients, the optimiser's moments, and
the bytes that autograd saves for one micro-batch (saved-tensor hooks; in fp32, because bf16 halves
only a part of it). Work: floating-point operations of a forward pass, counted by torch, times three
for the backward pass, times items and epochs; hours at an assumed rate. Not included: loading,
validation, early stopping, inefficient kernels.

python -m benchmarks.training_forecast --config config/autsl.yaml
"""

import argparse

import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from slr_pipeline.config.experiment import read_config
from slr_pipeline.config.streams import (
    LandmarkSettings,
    R2plus1dSettings,
    SlgcnSettings,
    SstcnSettings,
    StreamSettings,
    VtnSettings,
)
from slr_pipeline.features.heatmaps import HEATMAP_KEYPOINTS
from slr_pipeline.schema import LANDMARK_VALUES
from slr_pipeline.training.streams import build_model

TRAIN_ITEMS = 28142
CLASSES = 226


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="config/autsl.yaml")
    parser.add_argument("--tflops", type=float, default=30.0, help="assumed rate of the GPU")
    flags = parser.parse_args()
    print(
        "| stream | parameters, M | micro-batch | GPU memory, GB | GFLOP per item, forward "
        f"| epochs | hours at {flags.tflops:g} TFLOP/s |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, stream in read_config(flags.config).streams.items():
        print(row(name, stream, flags.tflops))


def row(name: str, stream: StreamSettings, tflops: float) -> str:
    recipe = stream.training
    micro = recipe.micro_batch or recipe.batch_size
    with torch.device("meta"):
        model = build_model(stream, CLASSES)
        model.train()
        inputs = [torch.empty(micro, *shape) for shape in item_shapes(stream)]
    parameters = sum(parameter.numel() for parameter in model.parameters())
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()
        alive.append(tensor)
        return tensor

    alive: list[torch.Tensor] = []
    with FlopCounterMode(display=False) as counter, saved_tensors_hooks(keep, lambda x: x):
        model(*inputs)
    moments = 1 if recipe.optimizer == "sgd" else 2
    memory = parameters * 4 * (2 + moments) + sum(kept.values())
    flop = counter.get_total_flops() / micro
    hours = 3 * flop * TRAIN_ITEMS * recipe.epochs / (tflops * 1e12) / 3600
    return (
        f"| `{name}` | {parameters / 1e6:.1f} | {micro} | {memory / 1e9:.1f} | {flop / 1e9:.1f} "
        f"| {recipe.epochs} | {hours:.1f} |"
    )


def item_shapes(stream: StreamSettings) -> list[tuple[int, ...]]:
    """Shapes of the model's inputs for a training item."""
    match stream:
        case SlgcnSettings():
            return [(3, stream.window, 27)]
        case LandmarkSettings():
            return [(LANDMARK_VALUES[stream.representation], stream.frames)]
        case SstcnSettings():
            return [(stream.frames, len(HEATMAP_KEYPOINTS), 24, 24)]
        case R2plus1dSettings():
            channels = 2 if "flow" in stream.feature else 3
            return [(channels, stream.frames, stream.size, stream.size)]
        case VtnSettings():
            crops = 4 if stream.depth else 2
            return [(stream.frames, crops, 3, stream.size, stream.size), (stream.frames, 106)]


if __name__ == "__main__":
    main()
