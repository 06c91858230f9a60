"""Inputs of the models of streams: names, axes, and random inputs of the same shape."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor

from slr_pipeline.config.streams import (
    R2plus1dSettings,
    SlgcnSettings,
    SstcnSettings,
    TrainedStream,
    VtnSettings,
)
from slr_pipeline.features.heatmaps import GRID, HEATMAP_KEYPOINTS
from slr_pipeline.models.vtn import HANDS
from slr_pipeline.skeleton import JOINTS_27, POSE_FLOW_KEYPOINTS
from slr_pipeline.training.streams import PICTURE_KINDS

CELLS = GRID // 4


@dataclass(frozen=True)
class Input:
    """An input of a model, float32.

    Attributes:
        name: in the ONNX file.
        axes: name and length of each axis except the batch.
        values: range or unit of the values, in words.
    """

    name: str
    axes: tuple[tuple[str, int], ...]
    values: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one item, without the batch."""
        return tuple(length for _, length in self.axes)


def inputs_of(settings: TrainedStream) -> tuple[Input, ...]:
    """Inputs of a stream's model in the order of its arguments."""
    frames = ("frame", settings.frames)
    axes: tuple[tuple[str, int], ...]
    match settings:
        case SlgcnSettings():
            axes = (("x, y, score", 3), frames, ("joint", len(JOINTS_27)))
            return (Input("skeleton", axes, "pixels, longer side of the frame 512; score 0 to 1"),)
        case SstcnSettings():
            axes = (frames, ("keypoint", len(HEATMAP_KEYPOINTS)), ("row", CELLS), ("column", CELLS))
            return (Input("heatmaps", axes, "0 to 1"),)
        case R2plus1dSettings():
            channel = {
                "color": ("red, green, blue", 3),
                "flow": ("x, y", 2),
                "hha": ("disparity, height, angle", 3),
            }[PICTURE_KINDS[settings.feature]]
            axes = (channel, frames, ("row", settings.size), ("column", settings.size))
            return (Input(settings.feature, axes, "-1 to 1"),)
        case VtnSettings():
            hands = (
                ("left, right, left depth, right depth", 2 * HANDS)
                if settings.depth
                else ("left, right", HANDS)
            )
            picture = (("red, green, blue", 3), ("row", settings.size), ("column", settings.size))
            crops = Input(
                "crops", (frames, hands, *picture), "normalised with ImageNet's mean and std"
            )
            moves = ("angle, magnitude of each keypoint", 2 * len(POSE_FLOW_KEYPOINTS))
            pose = Input("pose_flow", (frames, moves), "angle / pi; head lengths per frame")
            return crops, pose
        case _:
            assert_never(settings)


def random_batch(settings: TrainedStream, size: int, generator: torch.Generator) -> list[Tensor]:
    """Random inputs in the range of real ones."""
    shapes = [(size, *given.shape) for given in inputs_of(settings)]
    match settings:
        case SlgcnSettings():
            skeletons = _normal(shapes[0], generator) * 100
            skeletons[:, 2] = _uniform(skeletons[:, 2].shape, generator)
            return [skeletons]
        case SstcnSettings():
            return [_uniform(shapes[0], generator)]
        case R2plus1dSettings():
            return [2 * _uniform(shapes[0], generator) - 1]
        case VtnSettings():
            pose = _uniform(shapes[1], generator)
            pose[..., ::2] = 2 * pose[..., ::2] - 1
            return [_normal(shapes[0], generator), pose]
        case _:
            assert_never(settings)


def _normal(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    return torch.randn(*shape, generator=generator)


def _uniform(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    return torch.rand(*shape, generator=generator)
