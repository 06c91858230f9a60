"""Inputs of a model from the bytes of its items, on the device of the model.

Normalises, and applies what an item's change asks for: mirroring, colour jitter, the rotation of
flow vectors. Training, validation, prediction and the ONNX export share these functions. Their
arguments are the inputs of a batch, (B, ...) each, and the device. The last input are the changes
(B, 5) of `schema.Change`, which stay on the CPU: their numbers are arguments of kernels.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from slr_pipeline.features.heatmaps import HEATMAP_KEYPOINTS
from slr_pipeline.schema import NO_MOVEMENT, Change, Fidelity
from slr_pipeline.skeleton import BODY_135, FLIP_133, POSE_FLOW_KEYPOINTS

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Colour statistics of ImageNet, which the backbone of VTN-HC/PF was trained on."""

GREY = (9798, 19235, 3735)
"""Shares of red, green and blue in grey, of 2^15, as OpenCV rounds them."""

EXCHANGED = {2: (1, 0), 4: (1, 0, 3, 2)}
"""Order of the hands after mirroring the person, without and with depth."""

FLIP_33: tuple[int, ...] = tuple(HEATMAP_KEYPOINTS.index(FLIP_133[k]) for k in HEATMAP_KEYPOINTS)
"""Left/right permutation of the keypoints with a heat-map."""

_SIDES = {"left": "right", "right": "left"}
_NAMES = tuple(BODY_135[keypoint] for keypoint in POSE_FLOW_KEYPOINTS)


def _other_side(name: str) -> str:
    side, _, rest = name.partition("_")
    return f"{_SIDES[side]}_{rest}" if side in _SIDES else name


FLIP_53: tuple[int, ...] = tuple(_NAMES.index(_other_side(name)) for name in _NAMES)
"""Left/right permutation of the keypoints of pose flow."""


def heatmaps(inputs: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Heat-maps (B, T, 33, H, W) in [0, 1] from their bytes."""
    maps = inputs[0].to(device, non_blocking=True).float()
    for item, change in zip(maps, _changes(inputs), strict=True):
        if change.mirrored:
            # Equals the released code, which runs the pose network on mirrored pictures.
            item.copy_(item[:, FLIP_33].flip(-1))
    return [maps.div_(255)]


def clips(
    inputs: Sequence[Tensor], device: torch.device, *, flow: bool, fidelity: Fidelity
) -> list[Tensor]:
    """Clips (B, C, T, H, W) of R(2+1)D from bytes (B, T, H, W, 3), of flow (B, T, 2, H, W).

    Values are (x / 255 - 0.5) / 0.5. In `corrected`, byte 128 of flow (no movement) is 0, and flow
    vectors rotate with the picture. The pictures of `published` are already mirrored.
    """
    order = (0, 2, 1, 3, 4) if flow else (0, 4, 1, 2, 3)
    values = _floats(inputs[0].to(device, non_blocking=True).permute(order))
    corrected = fidelity == "corrected"
    changes = _changes(inputs)
    for clip, change in zip(values, changes, strict=True):
        _jitter(clip.transpose(0, 1), change, fidelity)
        if change.mirrored and corrected:
            clip.copy_(clip.flip(-1))
    values.mul_(2 / 255)
    if not flow or not corrected:
        # PUBLISHED: no movement, byte 128, becomes 0.004; vectors do not rotate.
        values.sub_(1)
    else:
        values.sub_(2 / 255 * NO_MOVEMENT)
        for clip, change in zip(values, changes, strict=True):
            if change.angle_rad:
                clip.copy_(rotated(clip, change.angle_rad))
    for clip, change in zip(values, changes, strict=True):
        if flow and change.mirrored:
            clip[0].neg_()
    return [values]


def hands(inputs: Sequence[Tensor], device: torch.device, *, fidelity: Fidelity) -> list[Tensor]:
    """Pictures (B, T, S, 3, H, W) and pose flow (B, T, 106) of VTN-HC/PF.

    `inputs` are hand crops, bytes (B, T, S, H, W, 3), perhaps depth hand crops (B, T, 2, H, W),
    which become the last two of the S pictures, then pose flow as stored, and changes. Colours are
    normalised with `MEAN` and `STD`. `published` mirrors crops but neither swaps the hands nor
    mirrors the pose flow, and jitters depth like colour. `corrected` mirrors the person; it does
    not jitter depth, which is a measurement and not a colour.
    """
    crops, *depth, pose = (part.to(device, non_blocking=True) for part in inputs[:-1])
    pictures = crops.permute(0, 1, 2, 5, 3, 4)
    if depth:
        grey = depth[0][:, :, :, None].expand(-1, -1, -1, 3, -1, -1)
        pictures = torch.cat([pictures, grey], dim=2)
    values = _floats(pictures)
    pose = pose.clone()
    for item, steps, change in zip(values, pose, _changes(inputs), strict=True):
        _jitter(item if fidelity == "published" else item[:, :2], change, fidelity)
        if not change.mirrored:
            continue
        if fidelity == "published":
            # PUBLISHED: the left hand, now shaped like a right one, stays in the left slot, and
            # the pose flow does not change.
            item.copy_(item.flip(-1))
        else:
            item.copy_(item[:, EXCHANGED[item.shape[1]]].flip(-1))
            steps.copy_(mirrored_pose_flow(steps))
    for channel, (mean, std) in enumerate(zip(MEAN, STD, strict=True)):
        values[..., channel, :, :].mul_(1 / (255 * std)).sub_(mean / std)
    return [values, pose]


def _changes(inputs: Sequence[Tensor]) -> list[Change]:
    return [Change(*numbers) for numbers in inputs[-1].tolist()]


def _floats(pictures: Tensor) -> Tensor:
    return pictures.to(torch.float32, memory_format=torch.contiguous_format, copy=True)


def rotated(vectors: Tensor, angle_rad: float) -> Tensor:
    """Rotate vectors (2, ...), x to the right and y down, clockwise."""
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    x, y = vectors
    return torch.stack([cos * x - sin * y, sin * x + cos * y])


def mirrored_pose_flow(pose: Tensor) -> Tensor:
    """Pose flow (T, 106) of the mirrored person; swaps left and right keypoints, too.

    An angle a (in units of pi) becomes 1 - a, wrapped to (-1, 1]; without movement it stays 0.
    Mirroring twice is the identity, except that an angle of -1 becomes 1.
    """
    angles, magnitudes = pose[:, 0::2][:, FLIP_53], pose[:, 1::2][:, FLIP_53]
    other = 1 - angles
    other = torch.where(other > 1, other - 2, other)
    return torch.stack([torch.where(magnitudes == 0, angles, other), magnitudes], 2).flatten(1)


def _jitter(pictures: Tensor, change: Change, fidelity: Fidelity) -> None:
    """Change the colours of pictures (..., 3, H, W), floats from 0 to 255, in place."""
    factors = (change.brightness, change.contrast, change.saturation)
    if factors != (1.0, 1.0, 1.0):
        change_colors = jittered_as_pillow if fidelity == "published" else jittered
        pictures.copy_(change_colors(pictures, factors))


def jittered(pictures: Tensor, factors: tuple[float, float, float]) -> Tensor:
    """Change brightness, contrast and saturation of pictures (..., 3, H, W), in this order.

    The factors scale the distance from black, from the mean grey, and from each pixel's grey.
    Values are floats from 0 to 255 and clipped after each step.
    """
    from slr_pipeline.models.vision import transforms

    brightness, contrast, saturation = factors
    pictures = transforms.adjust_brightness(pictures / 255, brightness)
    pictures = transforms.adjust_contrast(pictures, contrast)
    changed: Tensor = transforms.adjust_saturation(pictures, saturation) * 255
    return changed


def jittered_as_pillow(pictures: Tensor, factors: tuple[float, float, float]) -> Tensor:
    """Like `jittered`, with values truncated to integers after each step, as Pillow does."""
    brightness, contrast, saturation = factors
    pictures = _blended(pictures, torch.zeros_like(pictures[..., :1, :1, :1]), brightness)
    mean = _grey(pictures).double().mean((-2, -1), keepdim=True).add(0.5).floor().float()
    pictures = _blended(pictures, mean, contrast)
    return _blended(pictures, _grey(pictures), saturation)


def _blended(values: Tensor, origin: Tensor, factor: float) -> Tensor:
    """Whole numbers origin + factor (values - origin) from 0 to 255."""
    return values.sub(origin).mul_(factor).add_(origin).clamp_(0, 255).floor_()


def _grey(pictures: Tensor) -> Tensor:
    """Whole grey values (..., 1, H, W), exact: all numbers are below 2^24."""
    shares = torch.tensor(GREY, dtype=torch.float32, device=pictures.device)[:, None, None]
    return pictures.mul(shares).sum(-3, keepdim=True).add_(2**14).div_(2**15).floor_()
