"""R(2+1)D-18 with SiLU, on clips of pictures or of optical flow.

Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018, as in
torchvision; SiLU as in Jiang et al., "Skeleton Aware Multi-modal Sign Language Recognition"
(SAM-SLR), CVPRW 2021, section 3.3.

Axes: B batch, C channels, T frames, H and W picture, K classes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from slr_pipeline.models.layout import channels_last, strided_conv

LAYERS = ("layer1", "layer2", "layer3", "layer4")


class R2Plus1D(nn.Module):
    """Clips (B, channels, T, H, W) of any T, H and W to logits (B, classes).

    `channels` are 3 for colour and HHA, 2 for flow; `width` are those of the stem and the first
    layer, later ones have 2x, 4x and 8x. `dropout` is before the classifier.

    Start weights come from torch's global generator. With 226 classes and the default sizes there
    are 31,416,063 parameters, with 2 channels 31,413,858, as published.
    """

    def __init__(
        self, *, classes: int, channels: int = 3, width: int = 64, dropout: float = 0.5
    ) -> None:
        super().__init__()
        if width < 2:
            raise ValueError(f"width must be at least 2, found {width}")
        self.channels = channels
        self.stem = _stem(channels, width)
        self.layer1 = _layer(width, width, stride=1)
        self.layer2 = _layer(width, 2 * width, stride=2)
        self.layer3 = _layer(2 * width, 4 * width, stride=2)
        self.layer4 = _layer(4 * width, 8 * width, stride=2)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(8 * width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of clips x (B, channels, T, H, W).

        Raises ValueError for another number of axes or channels.
        """
        if x.ndim != 5 or x.shape[1] != self.channels:
            raise ValueError(f"expected (B, {self.channels}, T, H, W), found {tuple(x.shape)}")
        x = self.stem(channels_last(x))  # (B, width, T, H / 2, W / 2)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)  # at last (B, 8 * width, T / 8, H / 16, W / 16)
        logits: Tensor = self.classifier(self.dropout(x.mean(dim=(2, 3, 4))))
        return logits


class FactorConv(nn.Conv3d):
    """A convolution over pictures, kernel (1, h, w), or over frames, kernel (t, 1, 1); no bias.

    Computed in two dimensions: each picture is an item, or the picture is one axis. With channels
    last neither copies x, and on the CPU oneDNN is about twice as fast as in three dimensions.
    """

    def __init__(
        self, c_in: int, c_out: int, kernel: tuple[int, int, int], *, stride: tuple[int, int, int]
    ) -> None:
        t, h, w = (size // 2 for size in kernel)
        super().__init__(c_in, c_out, kernel, stride=stride, padding=(t, h, w), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, T, H, W) to (B, c_out, T', H', W')."""
        if torch.onnx.is_in_onnx_export():
            return super().forward(x)  # the shorter graph
        B, C, T, H, W = x.shape
        if self.kernel_size[0] > 1:
            frames = x.reshape(B, C, T, H * W)
            y = strided_conv(frames, self.weight[..., 0], (self.stride[0], 1))
            return y.view(*y.shape[:3], H, W)
        pictures = x[:, :, :: self.stride[0]].transpose(1, 2).reshape(-1, C, H, W)
        y = strided_conv(pictures, self.weight[:, :, 0], self.stride[1:])
        return y.view(B, -1, *y.shape[1:]).transpose(1, 2)


class Conv2Plus1D(nn.Sequential):
    """A 3x3x3 convolution as one over the picture and one over frames; the form of torchvision."""

    def __init__(self, c_in: int, c_out: int, between: int, stride: int = 1) -> None:
        super().__init__(
            FactorConv(c_in, between, (1, 3, 3), stride=(1, stride, stride)),
            nn.BatchNorm3d(between),
            nn.SiLU(),
            FactorConv(between, c_out, (3, 1, 1), stride=(stride, 1, 1)),
        )


def _stem(channels: int, width: int) -> nn.Sequential:
    """7x7 convolution with stride 2, then 3 over frames; 45 channels between them at width 64."""
    between = 45 * width // 64
    return nn.Sequential(
        FactorConv(channels, between, (1, 7, 7), stride=(1, 2, 2)),
        nn.BatchNorm3d(between),
        nn.SiLU(),
        FactorConv(between, width, (3, 1, 1), stride=(1, 1, 1)),
        nn.BatchNorm3d(width),
        nn.SiLU(),
    )


def _layer(c_in: int, c_out: int, *, stride: int) -> nn.Sequential:
    """Two blocks; the first divides T, H and W by `stride`."""
    shortcut = None
    if stride != 1:
        shortcut = nn.Sequential(
            FactorConv(c_in, c_out, (1, 1, 1), stride=(stride, stride, stride)),
            nn.BatchNorm3d(c_out),
        )
    return nn.Sequential(Block(c_in, c_out, stride, shortcut), Block(c_out, c_out))


class Block(nn.Module):
    """Two factorised convolutions and a shortcut; names of weights are those of torchvision.

    `stride` divides T, H and W; with another shape of the output, `shortcut` gives it.
    """

    def __init__(
        self, c_in: int, c_out: int, stride: int = 1, shortcut: nn.Module | None = None
    ) -> None:
        super().__init__()
        between = c_in * c_out * 27 // (c_in * 9 + 3 * c_out)  # as many weights as 3x3x3 would have
        self.conv1 = nn.Sequential(
            Conv2Plus1D(c_in, c_out, between, stride), nn.BatchNorm3d(c_out), nn.SiLU()
        )
        self.conv2 = nn.Sequential(Conv2Plus1D(c_out, c_out, between), nn.BatchNorm3d(c_out))
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, T, H, W) to (B, c_out, T', H', W')."""
        shortcut = x if self.downsample is None else self.downsample(x)
        return functional.silu(self.conv2(self.conv1(x)) + shortcut)


# --- names of weights in other projects ---------------------------------------------------------


def kinetics_key(key: str) -> str | None:
    """The name in torchvision's `r2plus1d_18` of our weight `key`; None if it has none.

    Shapes are equal at width 64, but `stem.0.weight` differs with other than 3 channels.
    """
    return None if key.startswith("classifier.") else key


def published_key(key: str) -> str:
    """The name in the released SAM-SLR weights (without `module.`) of our weight `key`."""
    part, _, rest = key.partition(".")
    if part == "classifier":
        return f"fc1.{rest}"
    return f"r2plus1d_18.{('stem', *LAYERS).index(part)}.{rest}"
