"""SL-GCN: decoupled graph convolutions with attention, on the joints of a skeleton.

Jiang et al., "Skeleton Aware Multi-modal Sign Language Recognition" (SAM-SLR), CVPRW 2021, section
3.1. Its parts: decoupled graph convolution and DropGraph from Cheng et al., ECCV 2020; spatial,
temporal and channel attention from Shi et al., "Skeleton-Based Action Recognition with Multi-Stream
Adaptive Graph Convolutional Networks", 2020.

Axes: B batch, C channels, T frames, V joints, K classes. Skeletons come as (B, C, T, V); inside,
arrays are (B, C, V, T), frames last, so that the graph product is a matrix product without a copy.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from slr_pipeline.models.dropgraph import DropGraph
from slr_pipeline.models.graph_product import batch_norm, graph_product

SUBSETS = 3
"""Adjacencies of a graph convolution: the joint itself, from its child, from its parent."""

FRAME_KERNEL = 9
"""Kernel size of temporal convolution and temporal attention, frames."""


class SLGCN(nn.Module):
    """Skeletons (B, in_channels, T, joints) of any T to logits (B, classes).

    Args:
        joints: number of joints V.
        bones: (parent, child) pairs of joints, a tree.
        in_channels: channels of a joint: x, y, score.
        width: channels of the first units; later ones have 2x and 4x. A multiple of `groups`.
        groups: learned adjacencies per subset; channel c uses number c mod groups.
        drop_block_joints: DropGraph's mean number of joints dropped per seed.
        drop_block_frames: frames dropped per seed, odd.

    Start weights come from torch's global generator. With 27 joints, 226 classes and the default
    sizes there are 3,838,584 parameters, as published.
    """

    def __init__(
        self,
        *,
        classes: int,
        joints: int,
        bones: Sequence[tuple[int, int]],
        in_channels: int = 3,
        width: int = 64,
        groups: int = 16,
        # PUBLISHED: 1 + 2 * bones / joints of the Kinect's 25 joints and 24 bones; 27 joints have
        # 2.93.
        drop_block_joints: float = 2.92,
        drop_block_frames: int = 41,
    ) -> None:
        super().__init__()
        if width % groups:
            raise ValueError(f"width must be a multiple of groups {groups}, found {width}")
        adjacency = tree_adjacency(joints, bones)  # (3, V, V)
        self.input_norm = nn.BatchNorm1d(joints * in_channels)
        plan = [
            # channels in, out, frame stride
            *[(in_channels, width, 1), *[(width, width, 1)] * 3],
            *[(width, 2 * width, 2), *[(2 * width, 2 * width, 1)] * 2],
            *[(2 * width, 4 * width, 2), *[(4 * width, 4 * width, 1)] * 2],
        ]
        self.units = nn.ModuleList(
            Unit(
                c_in,
                c_out,
                stride=stride,
                adjacency=adjacency,
                groups=groups,
                residual=number > 1,
                drop_blocks=(drop_block_joints, drop_block_frames) if number >= 7 else None,
            )
            for number, (c_in, c_out, stride) in enumerate(plan, start=1)
        )
        self.classifier = nn.Linear(4 * width, classes)
        nn.init.normal_(self.classifier.weight, 0, math.sqrt(2 / classes))
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of skeletons x (B, in_channels, T, joints)."""
        B, C, T, V = x.shape
        x = x.permute(0, 3, 1, 2).reshape(B, V * C, T)  # channel v * C + c
        x = self.input_norm(x)
        x = x.view(B, V, C, T).transpose(1, 2).contiguous()  # (B, C, V, T)
        for unit in self.units:
            x = unit(x)
        logits: Tensor = self.classifier(x.mean(dim=(2, 3)))
        return logits


class Unit(nn.Module):
    """Graph convolution, attention, temporal convolution; DropGraph; residual; ReLU.

    (B, c_in, V, T) to (B, c_out, V, ceil(T / stride)). `drop_blocks` are the joints and frames
    dropped per DropGraph seed; None: no DropGraph.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        *,
        stride: int,
        adjacency: Tensor,
        groups: int,
        residual: bool,
        drop_blocks: tuple[float, int] | None,
    ) -> None:
        super().__init__()
        self.graph = DecoupledGraphConv(c_in, c_out, adjacency=adjacency, groups=groups)
        self.attention = Attention(c_out, joints=adjacency.shape[-1])
        self.temporal = ConvNorm(c_out, c_out, frames=FRAME_KERNEL, stride=stride)
        self.residual: nn.Module | None = None
        if residual:
            same = c_in == c_out and stride == 1
            self.residual = nn.Identity() if same else ConvNorm(c_in, c_out, stride=stride)
        self.drop: nn.Module = nn.Identity()
        if drop_blocks is not None:
            block_joints, block_frames = drop_blocks
            self.drop = DropGraph(
                adjacency.sum(dim=0), block_joints=block_joints, block_frames=block_frames
            )

    def forward(self, x: Tensor) -> Tensor:
        """One unit on x (B, c_in, V, T)."""
        y = self._dropped(self.temporal(self.attention(self.graph(x))))
        if self.residual is not None:
            y = y.add_(self._dropped(self.residual(x)))  # its own random numbers
        return y.relu_()

    def _dropped(self, y: Tensor) -> Tensor:
        """DropGraph of y (B, C, V, T)."""
        dropped: Tensor = self.drop(y.transpose(2, 3)).transpose(2, 3)
        return dropped


class DecoupledGraphConv(nn.Module):
    """Graph convolution; its channels share `groups` learned adjacencies.

    y[c, t, w] = sum over subset k and joint v of z[k, c, t, v] * D[k, c mod groups, v, w], where z
    is x projected to 3 * c_out channels and each column of D is divided by its sum (Cheng et al.,
    2020). Per channel this is one matrix product, over subsets and joints together.
    """

    def __init__(self, c_in: int, c_out: int, *, adjacency: Tensor, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.adjacency = nn.Parameter(adjacency[:, None].repeat(1, groups, 1, 1))  # (3, G, V, V)
        self.project = nn.Conv2d(c_in, SUBSETS * c_out, 1)
        self.project_norm = nn.BatchNorm2d(SUBSETS * c_out)
        self.norm = nn.BatchNorm2d(c_out)
        self.shortcut = nn.Identity() if c_in == c_out else ConvNorm(c_in, c_out)
        nn.init.normal_(self.project.weight, 0, math.sqrt(0.5 / (SUBSETS * c_out)))
        nn.init.constant_(self.project.bias, 1e-6)  # type: ignore[arg-type]
        # A unit starts as its shortcut; this scale grows during training.
        nn.init.constant_(self.norm.weight, 1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, V, T) to (B, c_out, V, T), ReLU included."""
        columns = self.adjacency / (self.adjacency.sum(dim=-2, keepdim=True) + 0.001)
        repeats = self.norm.num_features // self.groups
        columns = columns.permute(1, 3, 0, 2).repeat(repeats, 1, 1, 1)  # (c_out, W, 3, V)
        y = batch_norm(graph_product(x, self.project, self.project_norm, columns), self.norm)
        return y.add_(self.shortcut(x)).relu_()


class Attention(nn.Module):
    """Spatial, temporal and channel attention in turn, each y + y * gate (Shi et al., 2020).

    A stage needs only a mean of the output of the stages before it, which follows from the means of
    y and their gates: so y is scaled once, at the end.
    """

    def __init__(self, channels: int, *, joints: int) -> None:
        super().__init__()
        joint_kernel = joints - 1 + joints % 2  # odd, so that padding keeps the joints
        self.spatial = nn.Conv1d(channels, 1, joint_kernel, padding=joint_kernel // 2)
        self.temporal = nn.Conv1d(channels, 1, FRAME_KERNEL, padding=FRAME_KERNEL // 2)
        self.squeeze = nn.Linear(channels, channels // 2)
        self.excite = nn.Linear(channels // 2, channels)
        nn.init.xavier_normal_(self.spatial.weight)
        nn.init.kaiming_normal_(self.squeeze.weight)
        nn.init.zeros_(self.temporal.weight)
        nn.init.zeros_(self.excite.weight)
        for layer in (self.spatial, self.temporal, self.squeeze, self.excite):
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, y: Tensor) -> Tensor:
        """Scaled y (B, C, V, T), same shape."""
        by_joint = 1 + torch.sigmoid(self.spatial(y.mean(dim=3)))  # (B, 1, V)
        over_joints = (by_joint[:, :, None] / y.shape[2] @ y)[:, :, 0]  # (B, C, T)
        by_frame = 1 + torch.sigmoid(self.temporal(over_joints))  # (B, 1, T)
        over_all = (over_joints * by_frame).mean(dim=2)  # (B, C)
        by_channel = 1 + torch.sigmoid(self.excite(torch.relu(self.squeeze(over_all))))
        gates = by_frame[:, :, None, :] * by_joint[:, :, :, None]  # (B, 1, V, T)
        return y * gates * by_channel[:, :, None, None]


class ConvNorm(nn.Module):
    """Convolution over frames, joint by joint, then batch norm."""

    def __init__(self, c_in: int, c_out: int, *, frames: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            c_in, c_out, (frames, 1), stride=(stride, 1), padding=(frames // 2, 0)
        )
        self.norm = nn.BatchNorm2d(c_out)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out")
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(B, c_in, V, T) to (B, c_out, V, ceil(T / stride))."""
        conv = self.conv
        y = functional.conv2d(
            x, conv.weight.transpose(2, 3), conv.bias, conv.stride[::-1], conv.padding[::-1]
        )
        return batch_norm(y, self.norm)


def tree_adjacency(joints: int, bones: Sequence[tuple[int, int]]) -> Tensor:
    """The fixed adjacency (3, V, V): identity, inward [child, parent], outward [parent, child].

    Each column of the latter two is divided by its sum; columns without a bone stay 0.
    """
    inward = torch.zeros(joints, joints)
    for parent, child in bones:
        inward[child, parent] = 1
    subsets = torch.stack([inward, inward.T])
    subsets = subsets / subsets.sum(dim=1, keepdim=True).clamp_min(1)
    return torch.cat([torch.eye(joints)[None], subsets])


def learned_adjacencies(model: nn.Module) -> Iterator[nn.Parameter]:
    """The learned adjacency of every decoupled graph convolution in `model`."""
    for module in model.modules():
        if isinstance(module, DecoupledGraphConv):
            yield module.adjacency


# --- names of weights in other projects ---------------------------------------------------------

PUBLISHED_PARTS = {
    "graph.adjacency": "gcn1.DecoupleA",
    "graph.project.weight": "gcn1.Linear_weight",
    "graph.project.bias": "gcn1.Linear_bias",
    "graph.project_norm": "gcn1.bn0",
    "graph.norm": "gcn1.bn",
    "graph.shortcut.conv": "gcn1.down.0",
    "graph.shortcut.norm": "gcn1.down.1",
    "attention.spatial": "conv_sa",
    "attention.temporal": "conv_ta",
    "attention.squeeze": "fc1c",
    "attention.excite": "fc2c",
    "temporal.conv": "tcn1.conv",
    "temporal.norm": "tcn1.bn",
    "residual.conv": "residual.conv",
    "residual.norm": "residual.bn",
}
"""Parts of a unit of SL-GCN, and their names in the released SAM-SLR weights."""


def published_key(key: str) -> str:
    """The name in the released SAM-SLR weights of our weight `key`."""
    part, _, rest = key.partition(".")
    if part == "input_norm":
        return f"data_bn.{rest}"
    if part == "classifier":
        return f"fc.{rest}"
    number, _, rest = rest.partition(".")
    unit = f"l{int(number) + 1}"
    if rest in PUBLISHED_PARTS:
        return f"{unit}.{PUBLISHED_PARTS[rest]}"
    module, _, entry = rest.rpartition(".")
    return f"{unit}.{PUBLISHED_PARTS[module]}.{entry}"
