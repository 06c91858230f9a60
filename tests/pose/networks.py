"""Networks of MMPose with random weights, and one with known output, as files."""

import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from slr_pipeline.pose import mmpose_network
from slr_pipeline.skeleton import LEFT_HAND, RIGHT_HAND

DARK = "td-hm_vipnas-mbv3_dark-8xb64-210e_coco-wholebody-256x192"
HRNET = "td-hm_hrnet-w48_dark-8xb32-210e_coco-wholebody-384x288"
RTMPOSE = "rtmpose-t_8xb64-270e_coco-ubody-wholebody-256x192"
RTMW = "rtmw-m_8xb1024-270e_cocktail14-256x192"
VECTORS = ("simcc_x", "simcc_y")


def build(config: str, seed: int = 0) -> nn.Module:
    """The network of a config, with random weights.

    Its norms have the statistics of a picture, so that the signal survives all layers, and its
    heat-maps a standard deviation of 0.3.
    """
    mmpose_network._import_mmpose()
    torch.manual_seed(seed)
    model = mmpose_network._build(mmpose_network._read_config(config))
    for layer in model.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.momentum = 1.0
    width, height = model.head.decoder.input_size
    coarse = torch.randn(2, 3, height // 32, width // 32)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = model.train()(nn.functional.interpolate(coarse, (height, width)), None, "tensor")
        if isinstance(result, Tensor) and result.std() > 0:
            model.head.final_layer.weight.mul_(0.3 / result.std())
            model.head.final_layer.bias.zero_()
    return model.eval()


def save(model: nn.Module, path: Path) -> str:
    """A checkpoint as mmengine's runner saves it during training."""
    from mmengine.logging import HistoryBuffer

    loss = HistoryBuffer()
    loss.update(0.5)
    content = {
        "meta": {
            "epoch": 3,
            "cfg": "model = dict(type='TopdownPoseEstimator')",
            "dataset_meta": {"sigmas": np.full(133, 0.1, np.float32), "flip": [0, 2, 1]},
            "seed": np.int64(21),
        },
        "state_dict": OrderedDict(model.state_dict()),
        "message_hub": {"log_scalars": OrderedDict({"train/loss": loss})},
        "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": []},
    }
    torch.save(content, path)
    return str(path)


def export(
    model: nn.Module,
    path: Path,
    *,
    names: tuple[str, ...] = VECTORS,
    batch: int | None = None,
    size: tuple[int, int] = (256, 192),
    dtype: torch.dtype = torch.float32,
) -> str:
    """An ONNX file as MMDeploy writes it; `batch` None: any batch size."""
    dynamic = {} if batch else {name: {0: "batch"} for name in ("input", *names)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(),
            (torch.zeros(batch or 2, 3, *size, dtype=dtype),),
            str(path),
            dynamo=False,
            input_names=["input"],
            output_names=list(names),
            dynamic_axes=dynamic,
        )
    return str(path)


class TwoHands(nn.Module):
    """Heat-maps of the hands of a person who faces the camera.

    A hand is white, and the one at the right of the picture is the left hand. As in a trained
    network, left and right change places in a mirrored picture.
    """

    def forward(self, pictures: Tensor) -> tuple[Tensor]:  # (B, 3, H, W), normalised
        white = nn.functional.avg_pool2d(pictures.mean(dim=1, keepdim=True).clamp(min=0), 4)
        ramp = torch.linspace(-4, 0, white.shape[-1]).exp()
        return (torch.cat([white * ramp, white * ramp.flip(0)], dim=1),)  # left, right


def two_hands_config(folder: Path) -> str:
    """A config of MMPose with `TwoHands` as the backbone."""
    mmpose_network._import_mmpose()
    from mmpose.registry import MODELS

    MODELS.register_module(module=TwoHands, force=True)
    path = folder / "two_hands.py"
    path.write_text(
        "codec = dict(type='MSRAHeatmap', input_size=(192, 256), heatmap_size=(48, 64), sigma=2)\n"
        "model = dict(type='TopdownPoseEstimator', backbone=dict(type='TwoHands'),\n"
        "    data_preprocessor=dict(type='PoseDataPreprocessor', bgr_to_rgb=True,\n"
        "        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),\n"
        "    head=dict(type='HeatmapHead', in_channels=2, out_channels=133,\n"
        "        deconv_out_channels=None, decoder=codec,\n"
        "        loss=dict(type='KeypointMSELoss', use_target_weight=True)),\n"
        "    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=True))\n"
    )
    return str(path)


def two_hands(config: str) -> nn.Module:
    """`TwoHands` with a head that gives its map to all points of a hand, nothing to others."""
    model = build(config)
    with torch.no_grad():
        layer: Any = model.head.final_layer
        layer.weight.zero_()
        layer.bias.zero_()
        for side, hand in enumerate((LEFT_HAND, RIGHT_HAND)):
            layer.weight[list(hand), side] = 1 / 3  # white is 2.4 deviations from the mean
    return model
