"""R(2+1)D-18 with SiLU, on clips of pictures or of optical flow.

Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018, as in
torchvision; SiLU as in Jiang et al., "Skeleton Aware Multi-modal Sign Language Recognition"
(SAM-SLR), CVPRW 2021, section 3.3.

Axes: B batch, C channels, T frames, H and W picture, K classes.
"""

from torch import Tensor, nn

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
        _relu_to_silu(self)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of clips x (B, channels, T, H, W).

        Raises ValueError for another number of axes or channels.
        """
        if x.ndim != 5 or x.shape[1] != self.channels:
            raise ValueError(f"expected (B, {self.channels}, T, H, W), found {tuple(x.shape)}")
        x = self.stem(x)  # (B, width, T, H / 2, W / 2)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)  # at last (B, 8 * width, T / 8, H / 16, W / 16)
        logits: Tensor = self.classifier(self.dropout(x.mean(dim=(2, 3, 4))))
        return logits


def _stem(channels: int, width: int) -> nn.Sequential:
    """7x7 convolution with stride 2, then 3 over frames; 45 channels between them at width 64."""
    between = 45 * width // 64
    return nn.Sequential(
        nn.Conv3d(channels, between, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False),
        nn.BatchNorm3d(between),
        nn.SiLU(),
        nn.Conv3d(between, width, (3, 1, 1), padding=(1, 0, 0), bias=False),
        nn.BatchNorm3d(width),
        nn.SiLU(),
    )


def _layer(c_in: int, c_out: int, *, stride: int) -> nn.Sequential:
    """Two blocks; the first divides T, H and W by `stride`."""
    from slr_pipeline.models.vision import Conv2Plus1D, VideoBlock

    shortcut = None
    if stride != 1:
        shortcut = nn.Sequential(
            nn.Conv3d(c_in, c_out, 1, stride=stride, bias=False), nn.BatchNorm3d(c_out)
        )
    return nn.Sequential(
        VideoBlock(c_in, c_out, Conv2Plus1D, stride, shortcut),
        VideoBlock(c_out, c_out, Conv2Plus1D),
    )


def _relu_to_silu(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.ReLU):
            setattr(module, name, nn.SiLU())
        else:
            _relu_to_silu(child)


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
