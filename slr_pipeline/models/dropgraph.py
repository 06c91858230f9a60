"""DropGraph: drops neighbourhoods of joints and windows of frames during training.

Cheng et al., "Decoupling GCN with DropGraph Module for Skeleton-Based Action Recognition", ECCV
2020; the attention-guided form of SAM-SLR: drops are more likely where activations are large.

Random numbers come from torch's global generator of the device, as in `nn.Dropout`; the training
loop seeds it per (seed, epoch).
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool1d


class DropGraph(nn.Module):
    """Drops joints with their neighbours, then windows of frames. Identity in eval mode.

    Args:
        neighbours: (V, V); a seed v drops joint w if entry [v, w] is above 0.001.
        block_joints: mean number of joints dropped per seed.
        block_frames: odd number of frames dropped per seed.

    `keep` is the share of activations to keep; 1 (the start value) drops nothing. The training
    recipe sets it with `set_keep`.
    """

    neighbours: Tensor

    def __init__(self, neighbours: Tensor, *, block_joints: float, block_frames: int) -> None:
        super().__init__()
        if block_frames % 2 == 0:
            raise ValueError(f"block_frames must be odd, found {block_frames}")
        self.block_joints = block_joints
        self.block_frames = block_frames
        self.keep = 1.0
        reach = (neighbours > 0.001).to(torch.get_default_dtype())
        self.register_buffer("neighbours", reach, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Drop joints, then frames of x (B, C, T, V); same shape."""
        if not self.training or self.keep >= 1.0:
            return x
        with torch.no_grad():
            attention = x.abs().mean(dim=1)  # (B, T, V)
            by_joint = self._joint_mask(attention.mean(dim=1))[:, None, :]
            by_frame = self._frame_mask((attention * by_joint).mean(dim=2))[:, :, None]
            mask = (by_joint * by_frame)[:, None]  # (B, 1, T, V)
        return x * mask

    def _joint_mask(self, attention: Tensor) -> Tensor:
        """(B, V), from attention (B, V): 0 where a seed is the joint or its neighbour."""
        seeds = _seeds(attention, (1 - self.keep) / self.block_joints)
        return _rescaled((seeds @ self.neighbours.to(seeds.dtype)) == 0)

    def _frame_mask(self, attention: Tensor) -> Tensor:
        """(B, T), from attention (B, T): 0 within half a block of a seed."""
        seeds = _seeds(attention, (1 - self.keep) / self.block_frames)
        half = self.block_frames // 2
        fallen = max_pool1d(seeds[:, None], self.block_frames, stride=1, padding=half)[:, 0]
        return _rescaled(fallen == 0)


def _seeds(attention: Tensor, rate: float) -> Tensor:
    """Bernoulli seeds (0 or 1) of mean about `rate`, more likely where `attention` is large.

    PUBLISHED: attention is scaled to mean 1 over the whole batch, so drops of a sample depend on
    the other samples.
    """
    scale = attention.mean().clamp_min(torch.finfo(attention.dtype).tiny)
    return torch.bernoulli((attention / scale * rate).clamp(0, 1))


def _rescaled(kept: Tensor) -> Tensor:
    """Mask scaled to mean 1; all 0 if nothing is kept."""
    return kept * (kept.numel() / kept.sum().clamp_min(1))


def set_keep(model: nn.Module, keep: float) -> None:
    """Set the keep probability of every DropGraph in `model`; no effect on models without one."""
    for module in model.modules():
        if isinstance(module, DropGraph):
            module.keep = keep


def keep_probability(epoch: int, *, final: float, epochs: int) -> float:
    """DropGraph's keep probability: falls from 1 to `final` in `epochs` epochs, then stays.

    SAM-SLR: 1 - 0.001 * epoch for 100 epochs, then 0.9.
    """
    return final if epoch >= epochs else 1 - (1 - final) * epoch / epochs
