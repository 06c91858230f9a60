"""The layout of pictures and clips in memory."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def channels_last(x: Tensor) -> Tensor:
    """The same values (B, C, H, W) or (B, C, T, H, W), with the channels of a pixel side by side.

    Convolutions and norms keep this layout, and on the CPU are faster with it. ONNX has no layouts.
    """
    if torch.onnx.is_in_onnx_export():
        return x
    form = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    return x.contiguous(memory_format=form)


def strided_conv(x: Tensor, weight: Tensor, stride: tuple[int, ...]) -> Tensor:
    """A convolution (B, c_in, H, W) to (B, c_out, ceil(H / stride), ceil(W / stride)), no bias.

    The padding is half the odd kernel of `weight` (c_out, c_in, h, w). A 1x1 kernel first drops the
    pixels that it skips, for the same values: with the stride in the convolution and fewer than 8
    channels last, oneDNN of torch 2.13 writes past its memory in the backward pass on CPUs with
    AVX2 alone.
    """
    h, w = weight.shape[2:]
    if (h, w) == (1, 1):
        x, stride = x[..., :: stride[0], :: stride[1]], (1, 1)
    return functional.conv2d(x, weight, stride=stride, padding=(h // 2, w // 2))


class PointConv(nn.Conv2d):
    """A 1x1 convolution with a stride, no bias."""

    def __init__(self, c_in: int, c_out: int, *, stride: int) -> None:
        super().__init__(c_in, c_out, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, H, W) to (B, c_out, ceil(H / stride), ceil(W / stride))."""
        if torch.onnx.is_in_onnx_export():
            return super().forward(x)  # the shorter graph
        return strided_conv(x, self.weight, self.stride)
