"""SL-GCN, stage by stage as published, from weights under their published names.

Plain torch functions in the order of the paper: the learned adjacencies repeated for every
channel, one einsum over subsets, attention one stage after another. DropGraph is left out, as with
keep probability 1. Slow; it is the tests' and the benchmark's measure for `models.slgcn`.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from slr_pipeline.models.slgcn import SLGCN

PUBLISHED_PARTS = [
    (r"^data_bn\.", "input_norm."),
    (r"^fc\.", "classifier."),
    (r"gcn1\.DecoupleA", "graph.adjacency"),
    (r"gcn1\.Linear_", "graph.project."),
    (r"gcn1\.bn0\.", "graph.project_norm."),
    (r"gcn1\.bn\.", "graph.norm."),
    (r"gcn1\.down\.0\.", "graph.shortcut.conv."),
    (r"gcn1\.down\.1\.", "graph.shortcut.norm."),
    (r"(tcn1|residual)\.bn\.", r"\1.norm."),
    (r"tcn1\.", "temporal."),
    (r"conv_ta\.", "attention.temporal."),
    (r"conv_sa\.", "attention.spatial."),
    (r"fc1c\.", "attention.squeeze."),
    (r"fc2c\.", "attention.excite."),
]

Weights = Mapping[str, Tensor]


def our_name(published: str) -> str:
    name = re.sub(r"^l(\d+)\.", lambda match: f"units.{int(match[1]) - 1}.", published)
    for pattern, ours in PUBLISHED_PARTS:
        name = re.sub(pattern, ours, name)
    return name


def published_weight(name: str, value: Tensor) -> Tensor:
    """Our weight in its published shape."""
    if name.endswith("Linear_weight"):
        return value[:, :, 0, 0].T
    return value[None, :, None, None] if name.endswith("Linear_bias") else value


class PublishedWeights(dict[str, Tensor]):
    """Weights of one of our models by their published names, with their gradients."""

    def __init__(self, model: SLGCN) -> None:
        super().__init__()
        self.ours = model.state_dict(keep_vars=True)

    def __missing__(self, name: str) -> Tensor:
        return published_weight(name, self.ours[our_name(name)])

    def __contains__(self, name: object) -> bool:
        return our_name(str(name)) in self.ours


def logits(x: Tensor, w: Weights, *, training: bool = False) -> Tensor:
    """Logits of x (B, 3, T, V); in training, batch statistics, and the running ones are updated."""
    B, C, T, V = x.shape
    x = x.permute(0, 3, 1, 2).reshape(B, V * C, T)
    x = norm(x, w, "data_bn", training=training).reshape(B, V, C, T).permute(0, 2, 3, 1)
    for number in range(1, 11):
        unit, stride = f"l{number}", 2 if number in (5, 8) else 1
        y = attention(graph(x, w, unit, training=training), w, unit)
        y = conv_norm(y, w, f"{unit}.tcn1", stride=stride, training=training)
        if number in (5, 8):
            y = y + conv_norm(x, w, f"{unit}.residual", stride=stride, training=training)
        elif number > 1:
            y = y + x
        x = torch.relu(y)
    return x.mean(dim=(2, 3)) @ w["fc.weight"].T + w["fc.bias"]


def graph(x: Tensor, w: Weights, unit: str, *, training: bool = False) -> Tensor:
    """Decoupled graph convolution (B, C, T, V), its shortcut and ReLU included."""
    B, _, T, V = x.shape
    learned = w[f"{unit}.gcn1.DecoupleA"]
    K, G = learned.shape[:2]
    C = w[f"{unit}.gcn1.bn.bias"].numel()
    D = learned.repeat(1, C // G, 1, 1)  # (K, C, V, V)
    D = D / (D.sum(dim=2, keepdim=True) + 0.001)
    z = torch.einsum("nitv,io->notv", x, w[f"{unit}.gcn1.Linear_weight"])
    z = norm(z + w[f"{unit}.gcn1.Linear_bias"], w, f"{unit}.gcn1.bn0", training=training)
    y = torch.einsum("nkctv,kcvw->nctw", z.reshape(B, K, C, T, V), D)
    y = norm(y, w, f"{unit}.gcn1.bn", training=training)
    if f"{unit}.gcn1.down.0.weight" in w:
        x = functional.conv2d(x, w[f"{unit}.gcn1.down.0.weight"], w[f"{unit}.gcn1.down.0.bias"])
        x = norm(x, w, f"{unit}.gcn1.down.1", training=training)
    return torch.relu(y + x)


def attention(y: Tensor, w: Weights, unit: str) -> Tensor:
    """Spatial, temporal and channel attention of y (B, C, T, V)."""

    def conv(x: Tensor, name: str) -> Tensor:
        weight = w[f"{unit}.{name}.weight"]
        return functional.conv1d(x, weight, w[f"{unit}.{name}.bias"], padding=weight.shape[-1] // 2)

    y = y * torch.sigmoid(conv(y.mean(dim=2), "conv_sa"))[:, :, None, :] + y
    y = y * torch.sigmoid(conv(y.mean(dim=3), "conv_ta"))[:, :, :, None] + y
    hidden = y.mean(dim=(2, 3)) @ w[f"{unit}.fc1c.weight"].T + w[f"{unit}.fc1c.bias"]
    gate = torch.relu(hidden) @ w[f"{unit}.fc2c.weight"].T + w[f"{unit}.fc2c.bias"]
    return y * torch.sigmoid(gate)[:, :, None, None] + y


def conv_norm(x: Tensor, w: Weights, name: str, *, stride: int, training: bool) -> Tensor:
    weight = w[f"{name}.conv.weight"]
    x = functional.conv2d(x, weight, w[f"{name}.conv.bias"], (stride, 1), (weight.shape[2] // 2, 0))
    return norm(x, w, f"{name}.bn", training=training)


def norm(x: Tensor, w: Weights, name: str, *, training: bool) -> Tensor:
    return functional.batch_norm(
        x,
        w[f"{name}.running_mean"],
        w[f"{name}.running_var"],
        w[f"{name}.weight"],
        w[f"{name}.bias"],
        training=training,
    )
