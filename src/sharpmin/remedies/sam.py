"""Sharpness-aware minimisation: the gradient is taken not where the weights are but uphill from there.

Foret et al. 2021, equations (2) and (3), with p = 2: a step follows

    grad f_B(x + e),    e = rho g / |g|,    g = grad f_B(x),

which lowers, to first order, the highest loss within rho of x. Two passes a step; dropout draws anew in each.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sharpmin.errors import UsageError
from sharpmin.remedies.gradient import Gradient


@dataclass(frozen=True)
class SAM:
    """How far uphill the gradient is taken.

    Attributes:
        rho: the distance, in all weights together.

    """

    rho: float = 0.05

    def __post_init__(self) -> None:
        """Refuse a distance that is none."""
        if not 0 < self.rho < float("inf"):
            raise UsageError(f"rho {self.rho:g}: the distance uphill must be above 0")


def sam_gradient(
    gradient: Gradient,
    inputs: Tensor,
    targets: Tensor,
    share: float = 1.0,
    *,
    weights: Sequence[nn.Parameter],
    rho: float,
) -> tuple[Tensor, Tensor]:
    """Set the gradient to `share` times that at x + e, with the weights at x again; give loss and hits at x.

    What was in `.grad` before is part of g, and lost: let it be nothing.
    """
    found = gradient(inputs, targets, share)
    used = [weight for weight in weights if weight.grad is not None]
    here = [weight.detach().clone() for weight in used]
    climb(used, rho=rho)
    gradient(inputs, targets, share)
    with torch.no_grad():
        for weight, start in zip(used, here, strict=True):
            weight.copy_(start)
    return found


@torch.no_grad()
def climb(weights: Sequence[nn.Parameter], *, rho: float) -> None:
    """Move the weights by rho along their gradient, and forget it.

    Example:
        >>> x = nn.Parameter(torch.tensor([1.0, 1.0]))
        >>> x.grad = torch.tensor([3.0, 4.0])
        >>> climb([x], rho=5.0)
        >>> x.tolist(), x.grad
        ([4.0, 5.0], None)

    """
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    scale = rho / norm.clamp_min(torch.finfo(norm.dtype).tiny)
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.add_(gradient * scale)
        weight.grad = None
