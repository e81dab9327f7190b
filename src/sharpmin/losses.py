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


IGNORED = -100  # the target of what is no example

Loss = Callable[[nn.Module, Any], "Scored | Tensor | tuple[Tensor, int]"]


def classification(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Scored:
    """Cross-entropy of the logits `model(inputs)` against the targets, and the hits.

    Targets are classes [B], of which those at -100 are no examples, as in `torch.nn.functional.cross_entropy`; or
    probabilities [B, classes], where the most probable class is the one to hit.

    The loss is taken in float64, whatever the logits are in: in float32 1 - p is rounded to 6e-8, which near an
    interpolating minimizer is all there is of the loss and of its slope.

    Example:
        >>> batch = torch.zeros(2, 4), torch.tensor([0, 2])
        >>> classification(nn.Linear(4, 3), batch).losses.shape
        torch.Size([2])

    """
    counted = counting(pair(batch)[1])
    scored = unmasked(model, batch)
    return scored if counted.dim() != 1 or bool(counted.all()) else Scored(*(each[counted] for each in scored))


def unmasked(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Scored:
    """The same of targets that all count: without a branch on numbers, so that `torch.func.vmap` can take it."""
    inputs, targets = pair(batch)
    logits = model(inputs).double()
    if targets.is_floating_point():
        losses = F.cross_entropy(logits, targets.double(), reduction="none")
        return Scored(losses, logits.argmax(1) == targets.argmax(1))
    return Scored(F.cross_entropy(logits, targets, reduction="none"), logits.argmax(1) == targets)


def pair(batch: Any) -> tuple[Any, Any]:
    """Inputs and targets of a batch.

    Raises:
        UsageError: it has not two parts.

    """
    if not (isinstance(batch, tuple | list) and len(batch) == 2):
        raise UsageError(
            f"the default loss, cross-entropy, takes batches (inputs, targets) and was given {in_words(batch)}: give a "
            "loss function of your own"
        )
    return batch[0], batch[1]


def counting(targets: Tensor) -> Tensor:
    """Which of the targets [B, ...] are those of examples.

    Raises:
        UsageError: they are neither classes nor probabilities.

    """
    if not targets.is_floating_point():
        if targets.shape[1:] == (1,):
            raise UsageError(f"the targets have shape {list(targets.shape)}: classes are [B], targets.squeeze(1)")
        return targets != IGNORED
    sums = targets.double().sum(1) if targets.dim() == 2 and targets.shape[1] > 1 else torch.zeros(1)
    if bool((targets < 0).any()) or bool(((sums - 1).abs() > 1e-3).any()):
        raise UsageError(
            "the targets are real numbers and no probabilities [B, classes], the sum of each row 1, which the default "
            "loss, cross-entropy, could take: give a loss function of your own"
        )
    return torch.ones(len(targets), dtype=torch.bool)


def summed(scored: "Scored | Tensor | tuple[Tensor, int]") -> Sum:
    """Sum a batch's per-example losses in float64 and count them."""
    if isinstance(scored, Tensor | Scored):
        losses, hits = scored if isinstance(scored, Scored) else (scored, None)
        if losses.dim() != 1:
            raise UsageError(
                f"the loss function returned shape {list(losses.shape)}: return one loss per example [B], "
                "or (sum, count); with a mean, a ragged last batch would weigh too much"
            )
        return Sum(losses.sum(dtype=torch.float64), len(losses), None if hits is None else hits.sum())
    if not (isinstance(scored, tuple) and len(scored) == 2 and isinstance(scored[0], Tensor) and not scored[0].dim()):
        raise UsageError(
            f"the loss function returned {in_words(scored)}: return one loss per example [B], (sum, count) with a sum "
            "that is one number, or Scored(losses, hits)"
        )
    return Sum(scored[0].double(), whole(scored[1]), None)


def whole(count: "Tensor | int") -> int:
    """The examples that a loss function counted."""
    if isinstance(count, Tensor) and count.numel() != 1:
        raise UsageError(f"the loss function returned (sum, count) with a count of shape {list(count.shape)}: give one")
    if not (float(count).is_integer() and count >= 0):
        raise UsageError(
            f"the loss function counted {float(count):g} examples, which is no number of examples; for a weighted mean "
            "return the weighted losses [B], the weights divided by their mean over the data"
        )
    return int(count)


def in_words(returned: object) -> str:
    """What a loss function returned, by its types."""
    if isinstance(returned, tuple):
        return f"({', '.join(map(in_words, returned))})"
    return f"a tensor {list(returned.shape)}" if isinstance(returned, Tensor) else type(returned).__name__


def on_host(found: Sum) -> Sum:
    """The same in the memory of the processor, where it can be sent to another process."""
    return Sum(found.total.cpu(), found.examples, None if found.hits is None else found.hits.cpu())


def check_depends(total: Tensor) -> None:
    """Raise a UsageError where a batch's loss was not computed from the weights."""
    if torch.is_inference_mode_enabled():
        raise UsageError("no gradient can be taken inside torch.inference_mode(): measure outside of it")
    if not total.requires_grad:
        raise UsageError(
            "the loss does not depend on the weights: does the loss function call the model that it is given (not "
            "another one), and without torch.no_grad() or .detach()?"
        )
