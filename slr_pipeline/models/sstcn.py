"""SSTCN: separable spatial-temporal convolutions on heat-maps of the keypoints of a clip.

Jiang et al., "Skeleton Aware Multi-modal Sign Language Recognition" (SAM-SLR), CVPRW 2021, section
3.2; squeeze-and-excitation from Hu et al., CVPR 2018. Swish is x * sigmoid(x).

Axes: B batch, C channels, T frames, V joints, H and W cells of a map, K classes.
"""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import silu as swish

from slr_pipeline.models.layout import channels_last

SQUEEZED = 10
"""Squeezed channels per group in the gates of steps 1 to 3."""

SQUEEZED_LAST = 100
"""Squeezed channels in the gates of step 4."""


class SSTCN(nn.Module):
    """Heat-maps (B, frames, joints, H, W) of any H and W, in [0, 1], to logits (B, classes).

    Inside, frames and joints share the channel axis: channel = frame * joints + joint. Each step is
    two blocks, a and b:

    1. mixes frames, cell by cell, with the same weights for every joint;
    2. mixes the frames of each joint over 3 x 3 cells;
    3. mixes the joints of each frame over 3 x 3 cells;
    4. mixes all channels and reduces their number.

    Steps 1 to 3 are residual.

    Args:
        frames: number of frames T.
        joints: number of joints V.
        width: channels of block 4a; 4b has half of them. Even. It has most of the parameters
            and work: with 64 instead of 1980 there are 5,098,222 parameters.
        dropout: share of channels dropped after the blocks 2a, 3a and 4a.

    Start weights come from torch's global generator. With 226 classes and the default sizes there
    are 57,474,956 parameters, as published.
    """

    def __init__(
        self,
        *,
        classes: int,
        frames: int = 60,
        joints: int = 33,
        width: int = 1980,
        dropout: float = 0.333,
    ) -> None:
        super().__init__()
        if width < 2 or width % 2:
            raise ValueError(f"width must be even and at least 2, found {width}")
        self.frames, self.joints = frames, joints
        C = frames * joints
        self.input_norm = nn.BatchNorm2d(C)
        self.step_1a = Block(frames, frames, kernel=1, squeezed=SQUEEZED)
        self.step_1b = Block(frames, frames, kernel=1, squeezed=SQUEEZED, activate=False)
        # PUBLISHED: groups by joint, then by frame. The authors' fact sheet has the reverse; the
        # released weights have these shapes.
        self.step_2a = Block(C, C, groups=joints, squeezed=SQUEEZED * joints, dropout=dropout)
        self.step_2b = Block(C, C, groups=joints, squeezed=SQUEEZED * joints, activate=False)
        self.step_3a = Block(C, C, groups=frames, squeezed=SQUEEZED * frames, dropout=dropout)
        self.step_3b = Block(C, C, groups=frames, squeezed=SQUEEZED * frames, activate=False)
        self.step_4a = Block(C, width, squeezed=SQUEEZED_LAST, dropout=dropout)
        self.step_4b = Block(width, width // 2, squeezed=SQUEEZED_LAST)
        self.classifier = nn.Linear(width // 2, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, heatmaps: Tensor) -> Tensor:
        """Logits (B, classes) of heat-maps (B, frames, joints, H, W); ValueError for others."""
        if heatmaps.ndim != 5 or heatmaps.shape[1:3] != (self.frames, self.joints):
            raise ValueError(
                f"expected heat-maps (B, {self.frames}, {self.joints}, H, W), "
                f"found {tuple(heatmaps.shape)}"
            )
        B, T, V, H, W = heatmaps.shape
        x = heatmaps.reshape(B, T * V, H, W)
        x = swish(self.input_norm(x))

        y = x.reshape(B, T, V * H, W)
        y = self.step_1b(self.step_1a(y))
        x = channels_last(swish(y.reshape(B, T * V, H, W) + x))

        y = shuffled(x, groups=T)  # frame by frame to joint by joint: channel = joint * T + frame
        y = self.step_2b(self.step_2a(y))
        x = swish(shuffled(y, groups=V) + x)  # frame by frame again

        x = swish(self.step_3b(self.step_3a(x)) + x)

        x = self.step_4b(self.step_4a(x))  # (B, width / 2, H, W)
        logits: Tensor = self.classifier(x.mean(dim=(2, 3)))
        return logits


class Block(nn.Module):
    """Gate, convolution, batch norm; optionally Swish and dropout of whole channels.

    (B, c_in, H, W) to (B, c_out, H, W). Groups are independent, their gates too.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        *,
        kernel: int = 3,
        groups: int = 1,
        squeezed: int,
        activate: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.gate = Gate(c_in, squeezed, groups=groups)
        self.conv = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, groups=groups)
        self.norm = nn.BatchNorm2d(c_out)
        self.activation = nn.SiLU() if activate else nn.Identity()
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """One block on x (B, c_in, H, W)."""
        y: Tensor = self.dropout(self.activation(self.norm(self.conv(self.gate(x)))))
        return y


class Gate(nn.Module):
    """Squeeze-and-excitation in groups: each channel times a number from the means of its group.

    `squeezed` is the number of channels between, over all groups.
    """

    def __init__(self, channels: int, squeezed: int, *, groups: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1, groups=groups)
        self.excite = nn.Conv2d(squeezed, channels, 1, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """Scaled x (B, C, H, W), same shape."""
        means = x.mean(dim=(2, 3), keepdim=True)  # (B, C, 1, 1)
        return x * torch.sigmoid(self.excite(torch.relu(self.squeeze(means))))


def shuffled(x: Tensor, *, groups: int) -> Tensor:
    """Channels of x (B, C, H, W) in a new order: the first of every group, the second of every ...

    Shuffling the result with C / groups gives x back.
    """
    B, C, H, W = x.shape
    cells = x.permute(0, 2, 3, 1)  # channels last, the layout in which the blocks are fast
    mixed = cells.reshape(B, H, W, groups, C // groups).transpose(3, 4).reshape(B, H, W, C)
    return mixed.permute(0, 3, 1, 2)


def _published_modules() -> dict[str, str]:
    """Our modules with weights, and their names in the released weights."""
    modules = {"input_norm": "bn", "classifier": "fc1"}
    for ours, theirs, size in [
        ("step_1a", "t1", "1x1"),
        ("step_1b", "t2", "1x1"),
        ("step_2a", "f1", "3x3"),
        ("step_2b", "f2", "3x3"),
        ("step_3a", "f3", "3x3"),
        ("step_3b", "f4", "3x3"),
        ("step_4a", "f5", "3x3"),
        ("step_4b", "f6", "3x3"),
    ]:
        block = f"{theirs}downsample.g_conv_{size}_compress"
        modules[f"{ours}.gate.squeeze"] = f"{block}.attention.conv_du.0"
        modules[f"{ours}.gate.excite"] = f"{block}.attention.conv_du.2"
        modules[f"{ours}.conv"] = f"{block}.conv{size}"
        modules[f"{ours}.norm"] = f"{block}.batch_norm"
    return modules


PUBLISHED_MODULES: Final = _published_modules()


def published_key(key: str) -> str:
    """The name in the released SAM-SLR weights of our weight `key`."""
    module, _, entry = key.rpartition(".")
    return f"{PUBLISHED_MODULES[module]}.{entry}"
