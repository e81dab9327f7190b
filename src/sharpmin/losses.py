"""What a batch adds to f: the contract between a loss function and the objective.

    loss(model, batch) -> per-example losses [B]  |  (sum, count)  |  Scored(losses, hits)

A mean is refused: averaged over batches it would weigh a ragged last one too much.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sharpmin.errors import UsageError


class Scored(NamedTuple):
    """Per-example losses [B] and whether each example was classified correctly [B]."""

    losses: Tensor
    hits: Tensor


class Sum(NamedTuple):
    """What a batch adds to f: the sum of its losses in float64, its examples, and the hits where counted."""

    total: Tensor
    examples: int
    hits: Tensor | None


Loss = Callable[[nn.Module, Any], "Scored | Tensor | tuple[Tensor, int]"]


def classification(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Scored:
    """Cross-entropy of the logits `model(inputs)` against integer targets, and the hits.

    It is taken in float64, whatever the logits are in: in float32 1 - p is rounded to 6e-8, which near an interpolating
    minimizer is all there is of the loss and of its slope.

    Example:
        >>> batch = torch.zeros(2, 4), torch.tensor([0, 2])
        >>> classification(nn.Linear(4, 3), batch).losses.shape
        torch.Size([2])

    """
    inputs, targets = batch
    logits = model(inputs).double()
    return Scored(F.cross_entropy(logits, targets, reduction="none"), logits.argmax(1) == targets)


def summed(scored: "Scored | Tensor | tuple[Tensor, int]") -> Sum:
    """Sum a batch's per-example losses in float64 and count them."""
    if isinstance(scored, tuple) and not isinstance(scored, Scored):
        total, count = scored
        return Sum(total.double(), int(count), None)
    losses, hits = scored if isinstance(scored, Scored) else (scored, None)
    if losses.dim() != 1:
        raise UsageError(
            f"the loss function returned shape {list(losses.shape)}: return one loss per example [B], "
            "or (sum, count); with a mean, a ragged last batch would weigh too much"
        )
    return Sum(losses.sum(dtype=torch.float64), len(losses), None if hits is None else hits.sum())


def on_host(found: Sum) -> Sum:
    """The same in the memory of the processor, where it can be sent to another process."""
    return Sum(found.total.cpu(), found.examples, None if found.hits is None else found.hits.cpu())


def check_depends(total: Tensor) -> None:
    """Raise a UsageError where a batch's loss was not computed from the weights."""
    if not total.requires_grad:
        raise UsageError(
            "the loss does not depend on the weights: does the loss function call the model that it is given (not "
            "another one), and without torch.no_grad() or .detach()?"
        )
