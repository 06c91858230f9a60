"""LandmarkNet: one-dimensional convolutions and self-attention on landmarks.

After the winner of the Google Isolated Sign Language Recognition competition (Kaggle, 2023): blocks
of depthwise convolutions with channel attention (ECA-Net, Wang et al., 2020), then a block of
self-attention, in turn. Its convolutions are causal and its clips of varying length; these are
neither.
"""

import torch
from torch import Tensor, nn

KERNEL = 17
"""Frames that a depthwise convolution sees."""

EXPANSION = 2
"""Channels within a block relative to those between blocks."""

ATTENTION_KERNEL = 5
"""Neighbouring channels that decide the weight of one."""


class LandmarkNet(nn.Module):
    """Logits (B, classes) from values (B, channels, T).

    Args:
        classes: number of classes.
        channels: values of a frame.
        width: channels between the blocks.
        blocks: groups of three blocks of convolutions and one of attention.
        heads: of the attention; a divisor of `width`.
        dropout: before the classifier, and a fifth of it within the attention.
        drop_path: probability that a training item skips a block.
    """

    def __init__(
        self,
        *,
        classes: int,
        channels: int,
        width: int = 128,
        blocks: int = 2,
        heads: int = 4,
        dropout: float = 0.5,
        drop_path: float = 0.2,
    ) -> None:
        super().__init__()
        self.stem = nn.Linear(channels, width, bias=False)
        self.norm = nn.BatchNorm2d(width)
        body: list[nn.Module] = []
        for _ in range(blocks):
            body += [ConvolutionBlock(width, drop_path) for _ in range(3)]
            body += [AttentionBlock(width, heads, drop_path, dropout / 5)]
        self.body = nn.Sequential(*body)
        self.head = nn.Sequential(nn.Linear(width, EXPANSION * width), nn.SiLU())
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(EXPANSION * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, classes) of x (B, channels, T)."""
        x = self.stem(x.transpose(1, 2))
        x = self.body(_rows(self.norm(_picture(x))))
        logits: Tensor = self.classifier(self.dropout(self.head(x).mean(dim=1)))
        return logits


def _picture(x: Tensor) -> Tensor:
    """(B, T, C) as (B, C, T, 1), channels last, for which torch has fast kernels on the CPU."""
    return x.transpose(1, 2)[..., None]


def _rows(x: Tensor) -> Tensor:
    """(B, C, T, 1) as (B, T, C)."""
    return x[..., 0].transpose(1, 2)


class ConvolutionBlock(nn.Module):
    """A depthwise convolution over time between two layers, with channel attention."""

    def __init__(self, width: int, drop_path: float) -> None:
        super().__init__()
        inner = EXPANSION * width
        self.expand = nn.Sequential(nn.Linear(width, inner), nn.SiLU())
        self.convolve = nn.Sequential(
            nn.Conv2d(
                inner, inner, (KERNEL, 1), padding=(KERNEL // 2, 0), groups=inner, bias=False
            ),
            nn.BatchNorm2d(inner),
        )
        self.attend = nn.Conv1d(1, 1, ATTENTION_KERNEL, padding=ATTENTION_KERNEL // 2, bias=False)
        self.project = nn.Linear(inner, width)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape of x (B, T, C)."""
        y = _rows(self.convolve(_picture(self.expand(x))))
        weights = torch.sigmoid(self.attend(y.mean(dim=1)[:, None]))
        out: Tensor = x + self.drop_path(self.project(y * weights))
        return out


class AttentionBlock(nn.Module):
    """Self-attention over time and a feed-forward layer, each after a layer norm."""

    def __init__(self, width: int, heads: int, drop_path: float, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(2)])
        self.attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, EXPANSION * width), nn.SiLU(), nn.Linear(EXPANSION * width, width)
        )
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape of x (B, T, C)."""
        y = self.norms[0](x)
        x = x + self.drop_path(self.attention(y, y, y, need_weights=False)[0])
        out: Tensor = x + self.drop_path(self.feed_forward(self.norms[1](x)))
        return out


class DropPath(nn.Module):
    """Stochastic depth (Huang et al., 2016): in training, zeros for some items of a batch."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.keep = 1 - probability

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape of x (B, ...) and, on average, its values."""
        if not self.training or self.keep == 1:
            return x
        shape = (len(x), *(1,) * (x.ndim - 1))
        return (
            x * torch.empty(shape, device=x.device, dtype=x.dtype).bernoulli_(self.keep) / self.keep
        )
