"""The gradient of a batch that is spread over several processes: one sum, and whatever else is to be summed with it."""

from collections.abc import Iterable
from functools import reduce

import torch
from torch import Tensor, nn

from sharpmin.distributed.group import Group


@torch.no_grad()
def add_gradients(group: Group, parameters: Iterable[nn.Parameter], *numbers: Tensor) -> tuple[Tensor, ...]:
    """Replace each parameter's gradient by its sum over all processes, and give the sums of the numbers.

    All go in one message, in the widest of their dtypes and at least float32, in which numbers up to 2^24 stay whole.
    Where a weight took no part here (another expert, a head that was not asked) its gradient is 0, and where it took
    part nowhere it stays None, as in one process: the optimizer passes it over.

    Args:
        group: the processes.
        parameters: with the gradients of this process's share.
        numbers: 0-dimensional each.

    Example:
        >>> from sharpmin.distributed.group import ALONE
        >>> add_gradients(ALONE, [], torch.tensor(2.0))
        (tensor(2.),)

    """
    if group.size == 1:
        return numbers
    weights = [parameter for parameter in parameters if parameter.requires_grad]
    slopes = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
    missing = [weight.grad is None for weight in weights]
    took_part = torch.ones(len(weights), device=numbers[0].device)
    if any(missing):  # else a GPU need not wait
        took_part[torch.tensor(missing)] = 0
    parts = (*slopes, took_part, *numbers)
    dtype = reduce(torch.promote_types, (part.dtype for part in parts), torch.float32)
    total = group.add_(torch.cat([part.reshape(-1).to(dtype) for part in parts]))
    *summed, took_part, others = total.split([*(slope.numel() for slope in slopes), len(weights), len(numbers)])
    for weight, slope, part, absent, took in zip(weights, slopes, summed, missing, took_part, strict=True):
        weight.grad = None if absent and not took else slope.copy_(part.view_as(slope))
    return tuple(number.to(like.dtype) for number, like in zip(others, numbers, strict=True))
