"""Mean and variance of a batch from those of its blocks, and a block normalised by them, with gradients for both.

The moments of the whole batch follow from those of the blocks (Chan, Golub and LeVeque 1979):

    mean = sum_i n_i mean_i / N,    var = sum_i n_i (var_i + (mean_i - mean)^2) / N.
"""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

from sharpmin.distributed.group import Group
from sharpmin.distributed.moments import of_every_share

Part: TypeAlias = tuple[int, int, Tensor, Tensor]  # of one block: examples, positions, mean, variance


class Moments(torch.autograd.Function):
    """Mean and (biased) variance of each channel of one block."""

    @staticmethod
    def forward(ctx: FunctionCtx, z: Tensor) -> tuple[Tensor, Tensor]:
        """Mean [C] and variance [C] of z [B, C, ...]."""
        kept_in = torch.promote_types(z.dtype, torch.float32)  # bfloat16 activations, float32 statistics
        unused = z.new_zeros(2, z.shape[1], dtype=kept_in)
        mean, var = torch.batch_norm_update_stats(z, unused[0], unused[1], 0.0)
        ctx.save_for_backward(z, mean)
        return mean, var

    @staticmethod
    @once_differentiable
    def backward(ctx, d_mean: Tensor, d_var: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        """d/dz: d_mean / n + 2 d_var (z - mean) / n, one fused scale-and-shift per channel."""
        z, mean = ctx.saved_tensors
        n = z.numel() // z.shape[1]
        # not F.batch_norm, which in PyTorch 2.11 refuses an epsilon of zero
        return torch.batch_norm(z, 2 * d_var / n, d_mean / n, mean, torch.ones_like(mean), False, 0.0, 0.0, False)


class Normalise(torch.autograd.Function):
    """gamma (z - mean) / sqrt(var + eps) + beta with mean and variance given, and gradients for all five."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, z: Tensor, mean: Tensor, var: Tensor, gamma: Tensor, beta: Tensor, eps: float
    ) -> Tensor:
        """The normalised block, of z's shape."""
        ctx.save_for_backward(z, mean, var, gamma)
        ctx.eps = eps  # type: ignore[attr-defined]
        return F.batch_norm(z, mean, var, gamma, beta, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx, dy: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[no-untyped-def]
        """With d_gamma = sum dy zhat and d_beta = sum dy: d_mean = -gamma r d_beta, d_var = -gamma r^2 d_gamma / 2."""
        z, mean, var, gamma = ctx.saved_tensors
        dz, d_gamma, d_beta = torch.ops.aten.native_batch_norm_backward(
            dy, z, gamma, mean, var, None, None, False, ctx.eps, [True, True, True]
        )
        r = (var + ctx.eps).rsqrt()
        return dz, -gamma * r * d_beta, -0.5 * gamma * r * r * d_gamma, d_gamma, d_beta, None


def merge(parts: Sequence[Part]) -> tuple[Tensor, Tensor]:
    """Mean and variance of the whole from those of each block, in float64."""
    if len(parts) == 1:
        return parts[0][2], parts[0][3]
    counts = torch.tensor([examples * positions for examples, positions, _, _ in parts], dtype=torch.float64)
    share = (counts / counts.sum())[:, None].to(parts[0][2].device)
    means = torch.stack([mean for _, _, mean, _ in parts]).double()
    variances = torch.stack([var for _, _, _, var in parts]).double()
    mean = (share * means).sum(0)
    var = (share * (variances + (means - mean) ** 2)).sum(0)
    return mean.to(parts[0][2].dtype), var.to(parts[0][3].dtype)


def merge_all(group: Group, parts: Sequence[Part]) -> tuple[Tensor, Tensor]:
    """Mean and variance of the batch of a whole group from this process's blocks."""
    mean, var = merge(parts)
    if group.size == 1:
        return mean, var
    return merge(of_every_share(group, sum(examples * positions for examples, positions, _, _ in parts), mean, var))
