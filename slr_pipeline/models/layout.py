"""The layout of pictures and clips in memory."""

import torch
from torch import Tensor


def channels_last(x: Tensor) -> Tensor:
    """The same values (B, C, H, W) or (B, C, T, H, W), with the channels of a pixel side by side.

    Convolutions and norms keep this layout, and on the CPU are faster with it. ONNX has no layouts.
    """
    if torch.onnx.is_in_onnx_export():
        return x
    form = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    return x.contiguous(memory_format=form)
