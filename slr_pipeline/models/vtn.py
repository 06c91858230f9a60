"""VTN-HC/PF: hand crops through a ResNet and pose flow, then self-attention over frames.

De Coster et al., "Isolated Sign Recognition from RGB Video using Pose Flow and Self-Attention",
CVPRW 2021; decoder blocks from Vaswani et al., "Attention Is All You Need", NeurIPS 2017.

Axes: B batch, T frames, S crops of a frame, C channels, H and W picture, P pose values, D
embedding, K classes.
"""

from collections import OrderedDict
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from slr_pipeline.models.layout import PointConv, channels_last

HANDS = 2
"""Crops of a frame in one picture: the signer's left hand, the right hand."""

BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
"""Residual blocks in the four layers of a ResNet."""

NORM_EPS = 1e-3


class VTN(nn.Module):
    """Hand crops (B, T, S, 3, H, W) and pose flow (B, T, pose_values) to logits (B, classes).

    S is 2 (left hand, right hand) or, with `depth`, 4: the same two crops of the depth video
    follow. T is 1 to `frames`; H and W are any.

    Args:
        frames: largest T.
        width: size D of the embedding of a frame. A multiple of `heads`, the attention heads.
        layers: decoder blocks, with `dropout`; `classifier_dropout` is before the classifier.
        backbone: the ResNet that encodes each crop.
        backbone_width: its first channels; a crop gives 8x as many features.
        eps: added to the standard deviation of a frame's features.

    Start weights come from torch's global generator. With 226 classes and the default sizes there
    are 52,079,650 parameters, as published; with `depth` 53,128,226. The released depth model has a
    second ResNet-34 that it never uses.
    """

    def __init__(
        self,
        *,
        classes: int,
        frames: int = 16,
        width: int = 1024,
        heads: int = 8,
        layers: int = 4,
        pose_values: int = 106,
        depth: bool = False,
        backbone: Literal["resnet18", "resnet34"] = "resnet34",
        backbone_width: int = 64,
        dropout: float = 0.1,
        classifier_dropout: float = 0.0,
        # PUBLISHED: 0, so equal features give NaN; a small number avoids that.
        eps: float = 0.0,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width must be a multiple of heads {heads}, found {width}")
        self.crops = 2 * HANDS if depth else HANDS
        self.pose_values = pose_values
        self.eps = eps
        self.trunk = resnet_trunk(BLOCKS[backbone], width=backbone_width)
        self.bottleneck = nn.Linear(self.crops * 8 * backbone_width + pose_values, width)
        # PUBLISHED: position codes are trained, except row 0, which stays zero.
        self.positions = nn.Embedding(frames, width, padding_idx=0)
        self.positions.weight = nn.Parameter(sinusoids(frames, width))
        self.blocks = nn.ModuleList(
            DecoderBlock(width, heads=heads, dropout=dropout) for _ in range(layers)
        )
        self.dropout = nn.Dropout(classifier_dropout)
        self.classifier = nn.Linear(width, classes)
        nn.init.normal_(self.classifier.weight, 0, 0.02)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, crops: Tensor, pose: Tensor) -> Tensor:
        """Logits (B, classes) of crops (B, T, S, 3, H, W) and pose (B, T, pose_values).

        Raises ValueError for other numbers of axes, frames, crops, channels or pose values.
        """
        self._check(crops, pose)
        # Colour and depth are separate batches of the same trunk: batch norm sees one kind.
        features = [self._features(pictures) for pictures in torch.split(crops, HANDS, dim=2)]
        x = torch.cat([*features, pose], dim=-1)
        x = torch.relu(self.bottleneck(standardise(x, self.eps)))  # (B, T, D)
        x = x + self.positions(torch.arange(x.shape[1], device=x.device))
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.classifier(self.dropout(x))  # (B, T, K)
        return logits.mean(dim=1)

    def _features(self, pictures: Tensor) -> Tensor:
        """Features (B, T, left then right) of pictures (B, T, 2, 3, H, W)."""
        x = channels_last(pictures.flatten(0, 2))
        y = self.trunk(x).mean(dim=(2, 3))  # (B * T * 2, 8 * backbone_width)
        features: Tensor = y.reshape(*pictures.shape[:2], -1)
        return features

    def _check(self, crops: Tensor, pose: Tensor) -> None:
        frames = self.positions.num_embeddings
        if (
            crops.ndim != 6
            or crops.shape[2:4] != (self.crops, 3)
            or not 1 <= crops.shape[1] <= frames
        ):
            expected = f"(B, 1 to {frames}, {self.crops}, 3, H, W)"
            raise ValueError(f"expected crops {expected}, found {tuple(crops.shape)}")
        if pose.shape != (*crops.shape[:2], self.pose_values):
            expected = f"({crops.shape[0]}, {crops.shape[1]}, {self.pose_values})"
            raise ValueError(f"expected pose {expected}, found {tuple(pose.shape)}")


class DecoderBlock(nn.Module):
    """Self-attention over frames, then two linear layers, each with a residual and a norm.

    (B, T, D) to the same shape. `dropout` applies to attention weights and residual branches.
    """

    def __init__(self, width: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads=heads, dropout=dropout)
        self.attention_norm = Norm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.contract = nn.Linear(2 * width, width)
        self.feedforward_norm = Norm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """One block on x (B, T, D)."""
        x = self.attention_norm(x + self.dropout(self.attention(x)))
        y = self.contract(torch.relu(self.expand(x)))
        z: Tensor = self.feedforward_norm(x + self.dropout(y))
        return z


class Attention(nn.Module):
    """Dot-product self-attention over frames; heads are concatenated, without an output layer."""

    def __init__(self, width: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        # PUBLISHED: the root of the full width, not of a head's width.
        self.scale = width**-0.5
        shape = (heads, width, width // heads)
        self.query = nn.Parameter(torch.empty(shape))
        self.key = nn.Parameter(torch.empty(shape))
        self.value = nn.Parameter(torch.empty(shape))
        for weight in (self.query, self.key, self.value):
            # PUBLISHED: one tensor for all heads; torch treats its last axis as a kernel, so the
            # variance is 2 / ((width + heads) * width / heads).
            nn.init.xavier_normal_(weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to the same shape, head after head."""
        query, key, value = (
            torch.einsum("btd,hdk->bhtk", x, weight)
            for weight in (self.query, self.key, self.value)
        )
        dropout = self.dropout if self.training else 0.0
        y = functional.scaled_dot_product_attention(
            query, key, value, dropout_p=dropout, scale=self.scale
        )  # (B, heads, T, D / heads)
        return y.transpose(1, 2).flatten(2)


class Norm(nn.Module):
    """Layer norm by the unbiased standard deviation plus 0.001, then scale and shift."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))
        self.shift = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to the same shape."""
        if x.shape[1] == 1:
            return x  # PUBLISHED: a single frame is not normalised
        return standardise(x, NORM_EPS) * self.scale + self.shift


def standardise(x: Tensor, eps: float) -> Tensor:
    """(x - mean) / (std + eps) along the last axis, the standard deviation unbiased."""
    std, mean = torch.std_mean(x, dim=-1, keepdim=True)
    return (x - mean) / (std + eps)


def sinusoids(frames: int, width: int) -> Tensor:
    """Position codes (frames, width), row 0 zero.

    Vaswani et al., 2017, section 3.5: sine in even columns, cosine in odd ones.
    """
    column = torch.arange(width)
    power = 2 * (column // 2).double() / width
    angle = torch.arange(frames).double()[:, None] / 10000**power
    table = torch.where(column % 2 == 0, angle.sin(), angle.cos())
    table[0] = 0
    return table.float()


def resnet_trunk(blocks: tuple[int, ...], *, width: int = 64) -> nn.Sequential:
    """A ResNet up to its last feature map: (B, 3, H, W) to (B, 8 * width, H / 32, W / 32).

    Names of weights, and at width 64 shapes, are those of torchvision's `resnet18`, `resnet34`.
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False),
        bn1=nn.BatchNorm2d(width),
        relu=nn.ReLU(inplace=True),
        maxpool=nn.MaxPool2d(3, stride=2, padding=1),
    )
    c_in = width
    for number, count in enumerate(blocks, start=1):
        c_out = width * 2 ** (number - 1)
        parts[f"layer{number}"] = _layer(c_in, c_out, count, stride=1 if number == 1 else 2)
        c_in = c_out
    trunk = nn.Sequential(parts)
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return trunk


def _layer(c_in: int, c_out: int, count: int, *, stride: int) -> nn.Sequential:
    """`count` blocks; the first divides H and W by `stride`."""
    from slr_pipeline.models.vision import ImageBlock

    shortcut = None
    if stride != 1:
        shortcut = nn.Sequential(PointConv(c_in, c_out, stride=stride), nn.BatchNorm2d(c_out))
    first = ImageBlock(c_in, c_out, stride, shortcut)
    return nn.Sequential(first, *(ImageBlock(c_out, c_out) for _ in range(count - 1)))


# --- names of weights in other projects ---------------------------------------------------------

PUBLISHED_TRUNK = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}

PUBLISHED_BLOCK = {
    "attention.query": "slf_attn.w_qs",
    "attention.key": "slf_attn.w_ks",
    "attention.value": "slf_attn.w_vs",
    "attention_norm.scale": "slf_attn.layer_norm.a_2",
    "attention_norm.shift": "slf_attn.layer_norm.b_2",
    "expand.weight": "pos_ffn.w_1.weight",
    "expand.bias": "pos_ffn.w_1.bias",
    "contract.weight": "pos_ffn.w_2.weight",
    "contract.bias": "pos_ffn.w_2.bias",
    "feedforward_norm.scale": "pos_ffn.layer_norm.a_2",
    "feedforward_norm.shift": "pos_ffn.layer_norm.b_2",
}


def imagenet_key(key: str) -> str | None:
    """The name in torchvision's ResNet of our weight `key`; None if it has none."""
    return key.removeprefix("trunk.") if key.startswith("trunk.") else None


def published_key(key: str) -> str:
    """The name in the released VTN weights (without `model.`) of our weight `key`.

    `expand.weight` and `contract.weight` are convolutions there, with a last axis of length 1.
    """
    part, _, rest = key.partition(".")
    match part:
        case "trunk":
            layer, _, rest = rest.partition(".")
            return f"feature_extractor.resnet.{PUBLISHED_TRUNK[layer]}.{rest}"
        case "bottleneck":
            return f"bottle_mm.{rest}"
        case "positions":
            return f"self_attention_decoder.position_encoding.enc.{rest}"
        case "blocks":
            number, _, rest = rest.partition(".")
            return f"self_attention_decoder.layers.{number}.{PUBLISHED_BLOCK[rest]}"
        case "classifier":
            return f"classifier.fc.{rest}"
    raise KeyError(key)
