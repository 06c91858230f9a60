"""Weights that were trained elsewhere: the released ones of the two systems, and torchvision's.

`import_weights` writes them by our names, `start_from` loads them into a model. A checkpoint says
by its names what it is; the sizes of its model are read off its shapes.
"""

import logging
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

log = logging.getLogger(__name__)

Shapes = Mapping[str, Sequence[int]]

MOST_LISTED = 10
"""Names of one kind of problem in a message."""

WRAPPERS = re.compile(r"(?:module\.|model\.)+")
"""What DataParallel and Lightning put before every name."""


@dataclass(frozen=True)
class Kind:
    """Checkpoints of one origin for one of our models.

    Names starting with `mark` tell it. `build` gives our model in the sizes of theirs; `their_name`
    their name of our weight, None if it is not there; `unused` are names of theirs left out.
    """

    source: Literal["released", "imagenet", "kinetics"]
    mark: str
    build: Callable[[Shapes], nn.Module]
    their_name: Callable[[str], str | None]
    unused: str = ""


# --- importing -----------------------------------------------------------------------------------


def unwrapped(path: str | Path, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights without the wrappers' prefixes."""
    plain: dict[str, Tensor] = {}
    for name, value in weights.items():
        wrapped = WRAPPERS.match(name)
        inner = name[wrapped.end() :] if wrapped else name
        if inner in plain:
            raise ArtifactError(f"{path}: two weights are named {inner}, with and without prefix")
        plain[inner] = value
    return plain


def recognised(path: str | Path, model: str, theirs: Mapping[str, Tensor]) -> Kind:
    """The kind of a checkpoint, by its names."""
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
    expected = " or ".join(kind.source for kind in KINDS[model])
    names = ", ".join(list(theirs)[:3])
    raise ArtifactError(
        f"{path}: not {expected} weights of {model}, by its {len(theirs)} names ({names}, ...)"
        f"{looks}; check --model and the file"
    )


def _sized_like(kind: Kind, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our weights in the sizes of theirs, without values; in published sizes if none fit."""
    shapes = {name: tuple(value.shape) for name, value in theirs.items() if value.numel()}
    with torch.device("meta"):  # no memory, no random numbers
        try:
            return kind.build(shapes).state_dict()
        except ValueError:  # some are missing or misshapen: they are listed against these
            return kind.build({}).state_dict()


def our_weights(
    path: str | Path, model: str, kind: Kind, theirs: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The weights of a checkpoint by our names, in our shapes; ArtifactError lists what is wrong.

    `num_batches_tracked` may be missing and is 0 then: checkpoints older than torch 0.4.1, such as
    torchvision's ResNets, have none, and no computation of ours uses it.
    """
    ours = _sized_like(kind, theirs)
    names = {key: name for key in ours if (name := kind.their_name(key)) is not None}
    known = set(names.values())
    unknown = [n for n in theirs if n not in known and not re.fullmatch(kind.unused, n)]
    missing, misshapen, not_finite = [], [], []
    state: dict[str, Tensor] = {}
    for key, name in names.items():
        dtype = torch.float32 if ours[key].is_floating_point() else torch.int64
        expected = tuple(_their_form(name, ours[key]).shape)
        value = theirs.get(name)
        if value is None and name.endswith(".num_batches_tracked"):
            state[key] = torch.zeros((), dtype=dtype)
        elif value is None:
            missing.append(f"{name} {expected}")
        elif tuple(value.shape) != expected:
            misshapen.append(f"{name} is {tuple(value.shape)}, expected {expected}")
        else:
            state[key] = _our_form(name, value).to(dtype).contiguous()
            if not (value.isfinite().all() and state[key].isfinite().all()):
                not_finite.append(name)
    refuse(
        f"{path}: not whole {kind.source} weights of {model}",
        {
            "unknown": unknown,
            "missing": missing,
            "misshapen": misshapen,
            "not finite": not_finite,
        },
    )
    return state


def refuse(what: str, problems: Mapping[str, Sequence[str]]) -> None:
    """ArtifactError with all problems, if there is one; a line for each, of a kind not too many."""
    if not any(problems.values()):
        return
    counts = ", ".join(f"{len(names)} {kind}" for kind, names in problems.items() if names)
    lines = [f"{what}: {counts}"]
    for kind, names in problems.items():
        lines += [f"  {kind}: {name}" for name in names[:MOST_LISTED]]
        if len(names) > MOST_LISTED:
            lines.append(f"  {kind}: and {len(names) - MOST_LISTED} more")
    raise ArtifactError("\n".join(lines))


# --- sizes of a model, from the shapes of its weights --------------------------------------------


def _size(shapes: Shapes, name: str, axis: int, published: int) -> int:
    """A size; the published one where the weight is missing, so that it is listed as missing."""
    shape = shapes.get(name, ())
    return shape[axis] if len(shape) > axis else published


def _released_slgcn(shapes: Shapes) -> nn.Module:
    return SLGCN(
        classes=_size(shapes, "fc.weight", 0, 226),
        joints=_size(shapes, "l1.gcn1.DecoupleA", 3, 27),
        bones=(),  # they set start values only
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
    """By the third block of the first layer, which a ResNet-18 does not have."""
    return "resnet34" if any(name.startswith(third_block) for name in names) else "resnet18"


# --- names and shapes ----------------------------------------------------------------------------


def _their_form(name: str, ours: Tensor) -> Tensor:
    """Our weight in the shape it has there under its name there."""
    if name.endswith(".gcn1.Linear_weight"):  # a matrix (c_in, 3 * c_out), here a 1x1 convolution
        return ours[:, :, 0, 0].T
    if name.endswith(".gcn1.Linear_bias"):
        return ours[None, :, None, None]
    if name.endswith((".pos_ffn.w_1.weight", ".pos_ffn.w_2.weight")):  # convolutions over one frame
        return ours[:, :, None]
    return ours


def _our_form(name: str, theirs: Tensor) -> Tensor:
    """The inverse of `_their_form`."""
    if name.endswith(".gcn1.Linear_weight"):
        return theirs.T[:, :, None, None]
    if name.endswith(".gcn1.Linear_bias"):
        return theirs[0, :, 0, 0]
    if name.endswith((".pos_ffn.w_1.weight", ".pos_ffn.w_2.weight")):
        return theirs[:, :, 0]
    return theirs


KINDS: dict[str, tuple[Kind, ...]] = {
    "slgcn": (
        Kind(
            "released",
            mark="l1.gcn1.",
            build=_released_slgcn,
            their_name=slgcn.published_key,
            unused=r"l\d+\.(A|gcn1\.eyes)",  # constants that the code can do without
        ),
    ),
    "sstcn": (
        Kind(
            "released",
            mark="t1downsample.",
            build=_released_sstcn,
            their_name=sstcn.published_key,
        ),
    ),
    "r2plus1d": (
        Kind(
            "released",
            mark="r2plus1d_18.",
            build=_released_r2plus1d,
            their_name=r2plus1d.published_key,
        ),
        Kind(
            "kinetics",
            mark="stem.",
            build=_kinetics_r2plus1d,
            their_name=r2plus1d.kinetics_key,
            unused=r"fc\..*",
        ),
    ),
    "vtn": (
        Kind(
            "released",
            mark="feature_extractor.",
            build=_released_vtn,
            their_name=vtn.published_key,
            unused=r"feature_extractor_d\..*",  # nothing goes through it
        ),
        Kind(
            "imagenet",
            mark="conv1.",
            build=_imagenet_vtn,
            their_name=vtn.imagenet_key,
            unused=r"fc\..*",
        ),
    ),
}
"""Checkpoints that can be imported, by our model."""
