"""Fewer examples, the same share of each class.

The choice depends on the targets, the size and the seed alone, so two runs that ask for the same subset get
the same examples in the same order (that of the whole set).
"""

import torch
from torch import Generator, Tensor

from sharpmin.data.examples import Examples
from sharpmin.errors import UsageError


def subset(examples: Examples, size: int, *, seed: int = 0, classes: int) -> Examples:
    """Return `size` examples, their classes' counts differing by at most one.

    Where `size` is no multiple of `classes`, the seed decides which classes give one more, among those that
    have one more. Raises UsageError where a class has too few examples to keep the balance.
    """
    if not 1 <= size <= len(examples):
        raise UsageError(f"a subset of {size} examples was asked for; choose from 1 to {len(examples)}")
    generator = Generator().manual_seed(seed)
    quotas = _quotas(torch.bincount(examples.targets, minlength=classes), size, generator)
    order = torch.randperm(len(examples), generator=generator)
    chosen = [order[examples.targets[order] == label][:quota] for label, quota in enumerate(quotas)]
    indices = torch.cat(chosen).sort().values
    return Examples(examples.inputs[indices], examples.targets[indices])


def _quotas(available: Tensor, size: int, generator: Generator) -> list[int]:
    """How many examples each class gives."""
    share, rest = divmod(size, len(available))
    quotas = torch.full_like(available, share)
    order = torch.randperm(len(available), generator=generator)
    quotas[order[available[order] > share][:rest]] += 1
    if quotas.sum() < size or (quotas > available).any():
        scarce = int(available.argmin())
        raise UsageError(
            f"no class-balanced subset of {size} examples over {len(available)} classes: class {scarce} has "
            f"only {int(available[scarce])}; ask for at most {_largest(available)}, or for the whole set"
        )
    return quotas.tolist()


def _largest(available: Tensor) -> int:
    """Size of the largest balanced subset: the scarcest class's count from each, one more where there is."""
    share = int(available.min())
    return share * len(available) + int((available > share).sum())
