"""Renames and reshapes weights trained elsewhere: those of the two papers, and torchvision's.

The names in a checkpoint tell its origin, the shapes the sizes of its model.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from slr_pipeline.errors import ArtifactError
from slr_pipeline.models import r2plus1d, slgcn, sstcn, vtn
from slr_pipeline.models.r2plus1d import R2Plus1D
from slr_pipeline.models.slgcn import SLGCN
from slr_pipeline.models.sstcn import SSTCN
from slr_pipeline.models.vtn import VTN

Shapes = Mapping[str, Sequence[int]]

MOST_LISTED = 10
"""Names of one kind of problem that a message lists."""

WRAPPERS = re.compile(r"(?:module\.|model\.)+")
"""Prefixes that DataParallel and Lightning add to every name."""


@dataclass(frozen=True)
class Kind:
    """Checkpoints of one origin for one of our models.

    Only they have names that start with `mark`. `build` builds our model in their sizes.
    `their_name` maps the name of our weight to theirs, or to None; names like `unused` are left
    out.
    """

    source: Literal["released", "imagenet", "kinetics"]
    mark: str
    build: Callable[[Shapes], nn.Module]
    their_name: Callable[[str], str | None]
    unused: str = ""


def unwrapped(path: str | Path, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove the wrappers' prefixes from the names of the weights."""
    plain: dict[str, Tensor] = {}
    for name, value in weights.items():
        wrapped = WRAPPERS.match(name)
        inner = name[wrapped.end() :] if wrapped else name
        if inner in plain:
            raise ArtifactError(f"{path}: two weights are named {inner}, with and without prefix")
        plain[inner] = value
    return plain


def recognised(path: str | Path, model: str, theirs: Mapping[str, Tensor]) -> Kind:
    """The kind of a checkpoint by its names; ArtifactError for unknown ones."""
    for kind in KINDS[model]:
        if any(name.startswith(kind.mark) for name in theirs):
            return kind
    others = [
        f"{kind.source} weights of {other}"
        for other, kinds in KINDS.items()
        for kind in kinds
        if other != model and any(name.startswith(kind.mark) for name in theirs)
    ]
    looks = f"; it looks like {' or '.join(others)}" if others else ""
    inner = (name.partition(f".{kind.mark}") for kind in KINDS[model] for name in theirs)
    if prefix := next((before for before, mark, _ in inner if mark), None):
        looks = f"; remove the prefix {prefix[:60]}. from the names and save the weights again"
    expected = " or ".join(kind.source for kind in KINDS[model])
    names = ", ".join(list(theirs)[:3])
    raise ArtifactError(
        f"{path}: not {expected} weights of {model}, by its {len(theirs)} names ({names}, ...)"
        f"{looks}; check --model and the file"
    )


def _sized_like(kind: Kind, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our weights, without values, in the sizes of theirs; in the published sizes if none fit."""
    shapes = {name: tuple(value.shape) for name, value in theirs.items() if value.numel()}
    with torch.device("meta"):  # no memory, no random numbers
        try:
            return kind.build(shapes).state_dict()
        except ValueError:  # some are missing or misshapen: the message compares with these
            return kind.build({}).state_dict()


def our_weights(
    path: str | Path, model: str, kind: Kind, theirs: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Rename and reshape the weights of a checkpoint to ours; ArtifactError lists all problems.

    A missing `num_batches_tracked` becomes 0: checkpoints older than torch 0.4.1, such as
    torchvision's ResNets, do not have it, and no computation here uses it.
    """
    ours = _sized_like(kind, theirs)
    names = {key: name for key in ours if (name := kind.their_name(key)) is not None}
    known = set(names.values())
    unknown = [n for n in theirs if n not in known and not re.fullmatch(kind.unused, n)]
    missing, misshapen = [], []
    state: dict[str, Tensor] = {}
    used: dict[str, Tensor] = {}
    for key, name in names.items():
        dtype = torch.float32 if ours[key].is_floating_point() else torch.int64
        expected = tuple(to_published(name, ours[key]).shape)
        value = theirs.get(name)
        if value is None and name.endswith(".num_batches_tracked"):
            state[key] = torch.zeros((), dtype=dtype)
        elif value is None:
            missing.append(f"{name} {expected}")
        elif tuple(value.shape) != expected:
            misshapen.append(f"{name} is {tuple(value.shape)}, expected {expected}")
        else:
            state[key] = from_published(name, value).to(dtype).contiguous()
            used[name] = value.float() if value.is_floating_point() else value
    problems = {"unknown": unknown, "missing": missing, "misshapen": misshapen}
    refuse(f"{path}: not whole {kind.source} weights of {model}", problems | unusable(used))
    return state


def unusable(weights: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """Names of weights with values that no network can use, by what is wrong with them."""
    wrong: dict[str, list[str]] = {"not floats": [], "not finite": [], "negative variances": []}
    for name, value in weights.items():
        counter = name.endswith("num_batches_tracked")
        if value.dtype == torch.bool or not (counter or value.is_floating_point()):
            wrong["not floats"].append(f"{name} is {str(value.dtype).removeprefix('torch.')}")
        elif not value.isfinite().all():
            wrong["not finite"].append(name)
        elif name.endswith("running_var") and (value < 0).any():
            wrong["negative variances"].append(name)
    return wrong


def refuse(what: str, problems: Mapping[str, Sequence[str]]) -> None:
    """ArtifactError if there are problems: a line for each, up to `MOST_LISTED` of a kind."""
    if not any(problems.values()):
        return
    counts = ", ".join(f"{len(names)} {kind}" for kind, names in problems.items() if names)
    lines = [f"{what}: {counts}"]
    for kind, names in problems.items():
        lines += [f"  {kind}: {name:.200}" for name in names[:MOST_LISTED]]
        if len(names) > MOST_LISTED:
            lines.append(f"  {kind}: and {len(names) - MOST_LISTED} more")
    raise ArtifactError("\n".join(lines))


# --- sizes of a model, from the shapes of its weights --------------------------------------------


def _size(shapes: Shapes, name: str, axis: int, published: int) -> int:
    """A size from the shape of a weight; the published one where the weight is missing."""
    shape = shapes.get(name, ())
    return shape[axis] if len(shape) > axis else published


def _released_slgcn(shapes: Shapes) -> nn.Module:
    return SLGCN(
        classes=_size(shapes, "fc.weight", 0, 226),
        joints=_size(shapes, "l1.gcn1.DecoupleA", 3, 27),
        bones=(),  # they only set start values
        in_channels=_size(shapes, "l1.gcn1.Linear_weight", 0, 3),
        width=_size(shapes, "l1.gcn1.bn.weight", 0, 64),
        groups=_size(shapes, "l1.gcn1.DecoupleA", 1, 16),
    )


def _released_sstcn(shapes: Shapes) -> nn.Module:
    frames = _size(shapes, "t1downsample.g_conv_1x1_compress.conv1x1.weight", 0, 60)
    return SSTCN(
        classes=_size(shapes, "fc1.weight", 0, 226),
        frames=frames,
        joints=max(1, _size(shapes, "bn.weight", 0, 33 * frames) // frames),
        width=_size(shapes, "f5downsample.g_conv_3x3_compress.conv3x3.weight", 0, 1980),
    )


def _released_r2plus1d(shapes: Shapes) -> nn.Module:
    return R2Plus1D(
        classes=_size(shapes, "fc1.weight", 0, 226),
        channels=_size(shapes, "r2plus1d_18.0.0.weight", 1, 3),
        width=_size(shapes, "r2plus1d_18.0.3.weight", 0, 64),
    )


def _kinetics_r2plus1d(shapes: Shapes) -> nn.Module:
    return R2Plus1D(
        classes=1,
        channels=_size(shapes, "stem.0.weight", 1, 3),
        width=_size(shapes, "stem.3.weight", 0, 64),
    )


def _released_vtn(shapes: Shapes) -> nn.Module:
    decoder = "self_attention_decoder"
    backbone_width = _size(shapes, "feature_extractor.resnet.0.weight", 0, 64)
    features = 2 * 8 * backbone_width  # of both hands
    fused = _size(shapes, "bottle_mm.weight", 1, features + 106)
    depth = fused >= 2 * features
    layers = {name.split(".")[2] for name in shapes if name.startswith(f"{decoder}.layers.")}
    return VTN(
        classes=_size(shapes, "classifier.fc.weight", 0, 226),
        frames=_size(shapes, f"{decoder}.position_encoding.enc.weight", 0, 16),
        width=_size(shapes, "bottle_mm.weight", 0, 1024),
        heads=_size(shapes, f"{decoder}.layers.0.slf_attn.w_qs", 0, 8),
        layers=len(layers) or 4,
        pose_values=max(0, fused - features * (2 if depth else 1)),
        depth=depth,
        backbone=_backbone(shapes, "feature_extractor.resnet.4.2."),
        backbone_width=backbone_width,
    )


def _imagenet_vtn(shapes: Shapes) -> nn.Module:
    return VTN(
        classes=1,
        backbone=_backbone(shapes, "layer1.2."),
        backbone_width=_size(shapes, "conv1.weight", 0, 64),
    )


def _backbone(names: Iterable[str], third_block: str) -> Literal["resnet18", "resnet34"]:
    """Only a ResNet-34 has a third block in its first layer."""
    return "resnet34" if any(name.startswith(third_block) for name in names) else "resnet18"


# --- names and shapes ----------------------------------------------------------------------------


def to_published(name: str, ours: Tensor) -> Tensor:
    """Our weight in the shape of the published weight `name`."""
    if name.endswith(".gcn1.Linear_weight"):  # a matrix (c_in, 3 * c_out), ours a 1x1 convolution
        return ours[:, :, 0, 0].T
    if name.endswith(".gcn1.Linear_bias"):
        return ours[None, :, None, None]
    if name.endswith((".pos_ffn.w_1.weight", ".pos_ffn.w_2.weight")):  # convolutions over one frame
        return ours[:, :, None]
    return ours


def from_published(name: str, theirs: Tensor) -> Tensor:
    """The inverse of `to_published`."""
    if name.endswith(".gcn1.Linear_weight"):
        return theirs.T[:, :, None, None]
    if name.endswith(".gcn1.Linear_bias"):
        return theirs[0, :, 0, 0]
    if name.endswith((".pos_ffn.w_1.weight", ".pos_ffn.w_2.weight")):
        return theirs[:, :, 0]
    return theirs


KINDS: dict[str, tuple[Kind, ...]] = {
    "slgcn": (
        # Unused are constants.
        Kind("released", "l1.gcn1.", _released_slgcn, slgcn.published_key, r"l\d+\.(A|gcn1\.eyes)"),
    ),
    "sstcn": (Kind("released", "t1downsample.", _released_sstcn, sstcn.published_key),),
    "r2plus1d": (
        Kind("released", "r2plus1d_18.", _released_r2plus1d, r2plus1d.published_key),
        Kind("kinetics", "stem.", _kinetics_r2plus1d, r2plus1d.kinetics_key, r"fc\..*"),
    ),
    "vtn": (
        # Unused is a trunk that their code does not use.
        Kind(
            "released",
            "feature_extractor.",
            _released_vtn,
            vtn.published_key,
            r"feature_extractor_d\..*",
        ),
        Kind("imagenet", "conv1.", _imagenet_vtn, vtn.imagenet_key, r"fc\..*"),
    ),
}
"""Kinds of checkpoints that can be imported, by our model."""
