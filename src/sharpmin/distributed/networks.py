"""A network as it is trained on one device of several processes, each of which has a part of every batch."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sharpmin.blocked import Blocked, alike, can_block
from sharpmin.distributed.group import Group
from sharpmin.errors import UsageError


def spread(model: nn.Module, group: Group, *, device: torch.device) -> nn.Module:
    """The network in blocks, where that is faster or where its BatchNorm must see the other processes' parts.

    Args:
        model: on the device; wrapped, not copied.
        group: the processes.
        device: a CPU is faster in blocks, and short of memory; a GPU is neither.

    Raises:
        UsageError: there are several processes, and BatchNorm that cannot see their parts.

    Example:
        >>> from sharpmin.distributed.group import ALONE
        >>> spread(nn.Linear(2, 3), ALONE, device=torch.device("cpu"))
        Linear(in_features=2, out_features=3, bias=True)

    """
    if can_block(model):
        if device.type == "cpu":
            return Blocked(model, group=group)  # type: ignore[arg-type]
        keep = alike(model, "all")  # type: ignore[arg-type]
        return model if group.size == 1 else Blocked(model, keep=keep, group=group)  # type: ignore[arg-type]
    if group.size > 1 and any(isinstance(layer, _BatchNorm) for layer in model.modules()):
        raise UsageError(
            "several processes cannot train this network together: its BatchNorm has running statistics, or it is no "
            "flat chain of layers; train it in one process"
        )
    return model
