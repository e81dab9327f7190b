"""Conservative training: a batch is used for several iterations before the next, and held near where it began.

Li et al. 2014, and appendix E of Keskar et al. 2017: each batch B_k is a proximal sub-problem,

    x_{k+1} ~ argmin_x  f_{B_k}(x) + lambda/2 |x - x_k|^2,

solved inexactly, by default with lambda = 1e-3 and 3 iterations of the optimizer, whose moments go on from one
sub-problem to the next, as they do from batch to batch without a remedy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sharpmin.errors import UsageError


@dataclass(frozen=True)
class Conservative:
    """How a batch's sub-problem is solved.

    Attributes:
        strength: lambda, of the proximal term.
        iterations: steps of the optimizer on a batch.

    """

    strength: float = 1e-3
    iterations: int = 3

    def __post_init__(self) -> None:
        """Refuse what is no proximal sub-problem."""
        if not 0 <= self.strength < float("inf"):
            raise UsageError(f"proximal strength {self.strength:g}: choose lambda from 0 on")
        if self.iterations < 1:
            raise UsageError(f"{self.iterations} iterations on a batch: take at least 1")


def trained(model: nn.Module) -> list[nn.Parameter]:
    """The weights that training moves."""
    return [weight for weight in model.parameters() if weight.requires_grad]


def copied(weights: Sequence[Tensor]) -> list[Tensor]:
    """Where the weights are now."""
    return [weight.detach().clone() for weight in weights]


@torch.no_grad()
def pull_back(weights: Sequence[Tensor], anchor: Sequence[Tensor], *, strength: float) -> None:
    """Add the proximal term's gradient, strength (x - x_k), to that of f.

    Example:
        >>> x = torch.tensor([3.0], requires_grad=True)
        >>> x.grad = torch.tensor([1.0])
        >>> pull_back([x], [torch.tensor([1.0])], strength=0.5)
        >>> x.grad
        tensor([2.])

    """
    for weight, start in zip(weights, anchor, strict=True):
        if weight.grad is not None:
            weight.grad.add_(weight - start, alpha=strength)
