"""The gradient of a batch that is spread over several processes: one sum, and whatever else is to be summed with it."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from sharpmin.distributed.group import Group


@torch.no_grad()
def add_gradients(group: Group, parameters: Iterable[nn.Parameter], *numbers: Tensor) -> tuple[Tensor, ...]:
    """Replace each parameter's gradient by its sum over all processes, and give the sums of the numbers.

    All go in one message, in the dtype of the gradients: numbers up to 2^24 stay whole in float32.

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
    slopes = [parameter.grad for parameter in parameters if parameter.grad is not None]
    total = group.add_(torch.cat([part.reshape(-1).to(slopes[0].dtype) for part in (*slopes, *numbers)]))
    *summed, others = total.split([*(slope.numel() for slope in slopes), len(numbers)])
    for slope, part in zip(slopes, summed, strict=True):
        slope.copy_(part.view_as(slope))
    return tuple(number.to(like.dtype) for number, like in zip(others, numbers, strict=True))
