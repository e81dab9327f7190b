"""Ghost batch normalisation: BatchNorm sees a part of the batch, however large the batch is.

Hoffer, Hubara and Soudry 2017, algorithm 1: in training the batch is cut into ghost batches, and each is normalised by
its own mean and variance. Nothing else in a network ties examples together, so calling it on one ghost batch after the
other and adding the gradients up, each by its share of the examples, is the same thing exactly.

The ghosts of a batch are as equal in size as can be, none larger than stated: no last one is left with two examples.
Evaluation is as ever; the paper's networks then normalise over the evaluation batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sharpmin.errors import UsageError
from sharpmin.remedies.gradient import Gradient


@dataclass(frozen=True)
class GhostBatchNorm:
    """How many examples BatchNorm sees together in training.

    Attributes:
        size: of the largest ghost batch.

    """

    size: int = 128

    def __post_init__(self) -> None:
        """Refuse a ghost that has no variance."""
        if self.size < 2:
            raise UsageError(f"ghost batch {self.size}: take at least 2 examples, for a variance")


def check_norms(model: nn.Module) -> None:
    """Raise a UsageError where no layer would notice."""
    if not any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in model.modules()):
        raise UsageError("ghost batch norm: this network has no BatchNorm; train it without")


def ghost_gradient(
    gradient: Gradient, inputs: Tensor, targets: Tensor, share: float = 1.0, *, size: int
) -> tuple[Tensor, Tensor]:
    """Add `share` times the gradient of the mean loss, with BatchNorm over each ghost batch alone."""
    count = -(-len(targets) // size)
    losses, hits = [], []
    for x, y in zip(inputs.tensor_split(count), targets.tensor_split(count), strict=True):
        part = len(y) / len(targets)
        loss, hit = gradient(x, y, share * part)
        losses.append(loss * part)
        hits.append(hit)
    return torch.stack(losses).sum(), torch.stack(hits).sum()
