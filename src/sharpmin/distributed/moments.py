"""Mean and variance over a batch whose examples are spread over several processes, to be differentiated.

Every process is given the moments of every share, and merges them as if they were of blocks of its own
(`sharpmin.moments.merge`). In the forward pass that is an all-gather of 2 C + 1 numbers. In the backward pass f is the
sum of all processes' losses, each of which depends on everybody's moments m_r:

    df / dm_r = sum_s d loss_s / dm_r,

an all-reduce of the gradients of what was gathered, of which each process takes its own row.
"""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from sharpmin.distributed.group import Group


class Gathered(torch.autograd.Function):
    """The vectors of all processes, [size, K], with a gradient for this process's own [K]."""

    @staticmethod
    def forward(ctx: FunctionCtx, own: Tensor, group: Group) -> Tensor:
        """All of them."""
        ctx.group = group  # type: ignore[attr-defined]
        return group.stack(own)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        """This process's row of the sum over all processes."""
        return ctx.group.add_(gradient.contiguous())[ctx.group.rank], None


def of_every_share(group: Group, count: int, mean: Tensor, var: Tensor) -> list[tuple[int, int, Tensor, Tensor]]:
    """Count, 1, mean [C] and variance [C] of every process's share, by rank, as `sharpmin.moments.merge` takes them.

    Args:
        group: the processes.
        count: of the values of each channel in this process's share.
        mean: their mean.
        var: their variance.

    """
    own = torch.cat([mean.double(), var.double(), mean.new_tensor([count], dtype=torch.float64)])
    rows = Gathered.apply(own, group).split([len(mean), len(var), 1], dim=1)
    return [(int(n), 1, m.to(mean.dtype), v.to(var.dtype)) for m, v, n in zip(*rows, strict=True)]
