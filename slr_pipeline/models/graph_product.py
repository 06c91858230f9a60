"""The graph product of SL-GCN and its batch norms: most of a training step on the CPU.

torch's batch norm on the CPU sums one number at a time and reads the projection several times.
These functions compute the same; training of the whole network on the CPU is about two thirds
faster (`python -m benchmarks.slgcn`). Elsewhere torch's own operators run.

Axes: B batch, C channels, V joints, T frames.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def graph_product(x: Tensor, project: nn.Conv2d, norm: nn.BatchNorm2d, columns: Tensor) -> Tensor:
    """y[c, w, t] = sum over k and v of z[k, c, v, t] * columns[c, w, k, v]: (B, c_out, V, T).

    Args:
        x: (B, c_in, V, T).
        project: 1 x 1 convolution to K * c_out channels, subset by subset; z is its output after
            `norm`.
        norm: batch norm of the projection.
        columns: (c_out, V, K, V).
    """
    C, _, K, _ = columns.shape
    if not _own_norm(x, norm):
        z: Tensor = norm(project(x))
        B, _, V, T = z.shape
        z = z.view(B, K, C, V, T).transpose(1, 2)
        return columns.flatten(2) @ z.reshape(B, C, K * V, T)
    weights = (project.weight.flatten(1), project.bias, norm.weight, norm.bias)
    y, mean, var = _GraphProduct.apply(  # type: ignore[no-untyped-call]
        x, *(_by_channel(weight, K) for weight in weights), columns, norm.eps
    )
    _update_statistics(norm, _by_subset(mean, K), _by_subset(var, K), x.numel() // x.shape[1])
    return y  # type: ignore[no-any-return]


def batch_norm(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """`norm` of x (B, C, V, T), same shape; several times faster in training on the CPU."""
    if not _own_norm(x, norm):
        normed: Tensor = norm(x)
        return normed
    y, mean, var = _BatchNorm.apply(  # type: ignore[no-untyped-call]
        x, norm.weight, norm.bias, norm.eps
    )
    _update_statistics(norm, mean, var, x.numel() // x.shape[1])
    return y  # type: ignore[no-any-return]


def _own_norm(x: Tensor, norm: nn.BatchNorm2d) -> bool:
    """Whether this module computes the batch statistics of x (B, C, ...).

    torch does so on other devices, in low precision, in eval mode, and for a single value, which it
    refuses.
    """
    return (
        norm.training
        and x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and x.numel() > x.shape[1]
    )


@torch.no_grad()
def _update_statistics(norm: nn.BatchNorm2d, mean: Tensor, var: Tensor, n: int) -> None:
    """Update running statistics with those (C) of a batch of n values per channel."""
    norm.num_batches_tracked.add_(1)  # type: ignore[union-attr]
    norm.running_mean.lerp_(mean, norm.momentum)  # type: ignore[union-attr, arg-type]
    norm.running_var.lerp_(var * (n / (n - 1)), norm.momentum)  # type: ignore[union-attr, arg-type]


class _BatchNorm(torch.autograd.Function):
    """x (B, C, V, T) normed, with mean and variance (C) of the batch."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean = x.mean(dim=(0, 2, 3))
        y = x - mean[:, None, None]
        var = _squares(y.flatten(2)).sum(dim=0) / (x.numel() // x.shape[1])
        inverse_std = torch.rsqrt(var + eps)
        torch.addcmul(bias[:, None, None], y, (weight * inverse_std)[:, None, None], out=y)
        ctx.save_for_backward(x, weight, mean, inverse_std)
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, *_: None) -> tuple[Tensor | None, ...]:
        x, weight, mean, inverse_std = ctx.saved_tensors
        n = x.numel() // x.shape[1]
        g_bias = g.sum(dim=(0, 2, 3))
        along = torch.linalg.vecdot(g.flatten(2), x.flatten(2)).sum(dim=0)
        g_weight = (along - g_bias * mean) * inverse_std
        # g_x = scale * (g - g_bias / n - xhat * g_weight / n), as g * scale + x * slope + offset.
        scale = weight * inverse_std
        slope = -scale * g_weight * inverse_std / n
        offset = -scale * g_bias / n - slope * mean
        g_x = torch.addcmul(offset[:, None, None], x, slope[:, None, None])
        g_x.addcmul_(g, scale[:, None, None])
        return g_x, g_weight, g_bias, None


class _GraphProduct(torch.autograd.Function):
    """x (B, c_in, V, T) projected, normed and multiplied by `columns` (c_out, W, K, V).

    Also the mean and variance (K * c_out) of the projection. Projected channels run subset by
    subset within a channel: c * K + k. The projection is written once, with mean 0, and read
    sample by sample; the columns carry the scale of its norm.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        gamma: Tensor,
        beta: Tensor,
        columns: Tensor,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        B, _, V, T = x.shape
        C, _, K, _ = columns.shape
        samples = x.flatten(2).contiguous()  # (B, c_in, VT)
        x_mean = samples.mean(dim=(0, 2))
        mean = weight @ x_mean
        z = x.new_empty(B, K * C, V * T)
        var = torch.zeros_like(gamma)
        for sample, out in zip(samples, z, strict=True):
            torch.addmm(-mean[:, None], weight, sample, out=out)
            var += _squares(out)
        var /= B * V * T
        inverse_std = torch.rsqrt(var + eps)
        scale = gamma * inverse_std
        scaled = (columns * scale.view(C, 1, K, 1)).flatten(2)  # (C, W, KV)
        still = columns.sum(dim=3) @ beta.view(C, K, 1)  # (C, W, 1): the product for z = 0
        z = z.view(B, C, K * V, T)
        y = x.new_empty(B, C, V, T)
        for projected, out in zip(z, y, strict=True):
            torch.bmm(scaled, projected, out=out)
            out.add_(still)
        ctx.save_for_backward(samples, weight, beta, columns, z, x_mean, inverse_std, scale, scaled)
        mean = mean + bias
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, *_: None) -> tuple[Tensor | None, ...]:
        samples, weight, beta, columns, z, x_mean, inverse_std, scale, scaled = ctx.saved_tensors
        B, C, V, T = g.shape
        K = columns.shape[2]
        n = B * V * T
        g = g.contiguous()
        g_scaled = torch.zeros_like(scaled)
        for g_sample, projected in zip(g, z, strict=True):
            g_scaled.baddbmm_(g_sample, projected.mT)
        g_scaled = g_scaled.view_as(columns)
        g_still = g.sum(dim=(0, 3))[..., None]  # (C, W, 1)
        g_columns = g_scaled * scale.view(C, 1, K, 1)
        g_columns += (g_still * beta.view(C, 1, K))[..., None]
        g_beta = (g_still * columns.sum(dim=3)).sum(dim=1).flatten()
        g_gamma = (g_scaled * columns).sum(dim=(1, 3)).flatten() * inverse_std
        # The gradient of z is scaled^T g + z * slope - g_mean. g_mean is the same for all joints
        # and frames, so it is subtracted from the results and not from z.
        slope = -g_gamma * scale * inverse_std / n
        g_mean = (scaled.mT @ g_still).view(-1, V).sum(dim=1) / n
        g_weight = torch.outer(-n * g_mean, x_mean)
        offset = -(g_mean @ weight)[:, None]
        g_x = torch.empty_like(samples)
        g_z = torch.empty_like(z[0])
        g_rows = g_z.view(K * C, V * T)
        for i in range(B):
            torch.bmm(scaled.mT, g[i], out=g_z)
            g_rows.addcmul_(z[i].view_as(g_rows), slope[:, None])
            torch.addmm(offset, weight.T, g_rows, out=g_x[i])
            g_weight.addmm_(g_rows, samples[i].T)
        g_bias = torch.zeros_like(beta)  # the norm removes the bias
        return g_x.view(B, -1, V, T), g_weight, g_bias, g_gamma, g_beta, g_columns, None


def _squares(x: Tensor) -> Tensor:
    """Sum of squares over the last axis of x (..., n): (...)."""
    norms: Tensor = torch.linalg.vector_norm(x, dim=-1)
    return norms.square()


def _by_channel(x: Tensor | None, K: int) -> Tensor | None:
    """(K * C, ...) from order k * C + c to order c * K + k."""
    return None if x is None else x.view(K, -1, *x.shape[1:]).transpose(0, 1).reshape(x.shape)


def _by_subset(x: Tensor, K: int) -> Tensor:
    """(K * C) from order c * K + k to order k * C + c."""
    return x.view(-1, K).T.flatten()
