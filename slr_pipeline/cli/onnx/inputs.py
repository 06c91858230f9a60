"""Inputs of the models of streams: names, shapes, and random inputs of these shapes."""

from typing import assert_never

import torch
from torch import Tensor

from slr_pipeline.config.streams import (
    LandmarkSettings,
    R2plus1dSettings,
    SlgcnSettings,
    SstcnSettings,
    TrainedStream,
    VtnSettings,
)
from slr_pipeline.features.heatmaps import GRID, HEATMAP_KEYPOINTS
from slr_pipeline.models.vtn import HANDS
from slr_pipeline.schema import LANDMARK_VALUES
from slr_pipeline.skeleton import JOINTS_27, POSE_FLOW_KEYPOINTS
from slr_pipeline.training.streams import is_flow

CELLS = GRID // 4


def input_shapes(settings: TrainedStream) -> dict[str, tuple[int, ...]]:
    """Shapes of a model's inputs without the batch axis, by name in the order of its arguments."""
    frames = settings.frames
    match settings:
        case SlgcnSettings():
            return {"skeleton": (3, frames, len(JOINTS_27))}
        case LandmarkSettings():
            return {"landmarks": (LANDMARK_VALUES[settings.representation], frames)}
        case SstcnSettings():
            return {"heatmaps": (frames, len(HEATMAP_KEYPOINTS), CELLS, CELLS)}
        case R2plus1dSettings():
            channels = 2 if is_flow(settings) else 3
            return {settings.feature: (channels, frames, settings.size, settings.size)}
        case VtnSettings():
            hands = 2 * HANDS if settings.depth else HANDS
            return {
                "crops": (frames, hands, 3, settings.size, settings.size),
                "pose_flow": (frames, 2 * len(POSE_FLOW_KEYPOINTS)),
            }
        case _:
            assert_never(settings)


def random_batch(settings: TrainedStream, size: int, generator: torch.Generator) -> list[Tensor]:
    """Random inputs in the range of real ones."""
    shapes = [(size, *shape) for shape in input_shapes(settings).values()]
    match settings:
        case SlgcnSettings():
            skeletons = torch.randn(shapes[0], generator=generator) * 100
            skeletons[:, 2] = torch.rand(skeletons[:, 2].shape, generator=generator)
            return [skeletons]
        case LandmarkSettings():
            return [torch.randn(shapes[0], generator=generator)]
        case SstcnSettings():
            return [torch.rand(shapes[0], generator=generator)]
        case R2plus1dSettings():
            return [2 * torch.rand(shapes[0], generator=generator) - 1]
        case VtnSettings():
            pose = torch.rand(shapes[1], generator=generator)
            pose[..., ::2] = 2 * pose[..., ::2] - 1
            return [torch.randn(shapes[0], generator=generator), pose]
        case _:
            assert_never(settings)
