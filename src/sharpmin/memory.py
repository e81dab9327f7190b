"""How much memory a training step takes, known before it is started.

Autograd says itself what it keeps for the backward pass: `saved_tensors_hooks` sees every tensor saved. Two
small batches give the bytes per example and the fixed part, and the rest is a straight line in the batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sharpmin.blocked import Blocked, can_block
from sharpmin.errors import SharpminError

WORKING = 1.2  # gradients and one block's intermediates in flight, beside what is kept
FIXED = 600 * 2**20  # interpreter, PyTorch, thread stacks


@dataclass(frozen=True)
class StepMemory:
    """Bytes of one training step as a line in the batch size."""

    per_example: float
    fixed: float

    def needed(self, batch_size: int) -> float:
        """Bytes needed at this batch size."""
        return self.fixed + self.per_example * batch_size

    def fits(self, available: float) -> int:
        """The largest batch that fits in so many bytes."""
        return max(0, int((available - self.fixed) / self.per_example))


def estimate(model: nn.Module, example: Tensor) -> StepMemory:
    """Estimate the memory of a training step of `model` on inputs like `example` (without the batch)."""
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    small, large = (kept_for_backward(model, example.expand(n, *example.shape)) for n in (2, 6))
    per_example = (large - small) / 4
    return StepMemory(WORKING * per_example, FIXED + 4 * weights)  # weights, gradient, Adam's two moments


def kept_for_backward(model: nn.Module, batch: Tensor) -> int:
    """Bytes autograd keeps for the backward pass of a batch, the weights themselves left out."""
    network = Blocked(model) if can_block(model) else model  # type: ignore[arg-type]
    seen = {p.untyped_storage().data_ptr() for p in model.parameters()}
    total = 0

    def count(tensor: Tensor) -> Tensor:
        nonlocal total
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            total += storage.nbytes()
        return tensor

    if batch.dim() == 4:
        batch = batch.contiguous(memory_format=torch.channels_last)
    with torch.random.fork_rng(devices=[]), torch.autograd.graph.saved_tensors_hooks(count, lambda t: t):
        kept = network(batch)
    del kept
    return total


def check_fits(model: nn.Module, example: Tensor, batch_size: int, *, available: int | None, flag: str) -> None:
    """Raise before a training that this machine's memory cannot hold, and say what would fit.

    Raises:
        SharpminError: the estimate is above what is available.

    """
    if available is None:
        return
    memory = estimate(model, example)
    if memory.needed(batch_size) > available:
        fits = memory.fits(available)
        raise SharpminError(
            f"out of memory: a batch of {batch_size} needs about {memory.needed(batch_size) / 2**30:.1f} GiB and "
            f"{available / 2**30:.1f} GiB are free; "
            + (f"{flag} {fits} would fit" if fits else "no batch would fit: free some memory")
        )
