"""The gradient of one batch, which a step of the optimizer follows; remedies that change it wrap one around another.

A `Gradient` adds `share` times the gradient of the batch's mean loss to `.grad` of the weights (and of the inputs,
where they ask for one), and gives the mean loss and the number of hits.
"""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sharpmin.arithmetic import Precision, matrix_unit
from sharpmin.distributed.group import ALONE, Group


class Gradient(Protocol):
    """See the module."""

    def __call__(self, inputs: Tensor, targets: Tensor, share: float = 1.0) -> tuple[Tensor, Tensor]:
        """Add the gradient; give the mean loss and the hits, on the device."""


def mean_gradient(
    network: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    share: float = 1.0,
    *,
    precision: Precision = "float32",
    layout: torch.memory_format = torch.channels_last,
    group: Group = ALONE,
) -> tuple[Tensor, Tensor]:
    """Add `share` times the gradient of the mean cross-entropy; of several processes, each the part of its examples.

    Images are laid out as the network's weights are.

    Example:
        >>> model, x, y = nn.Linear(4, 3), torch.rand(8, 4), torch.zeros(8, dtype=torch.int64)
        >>> loss, hits = mean_gradient(model, x, y, 0.5)
        >>> bool(torch.allclose(model.bias.grad, 0.5 * (model(x).softmax(1).mean(0) - torch.eye(3)[0])))
        True

    """
    (inputs, weight), (targets, _) = group.share(inputs), group.share(targets)
    if inputs.dim() == 4:
        inputs = inputs.contiguous(memory_format=layout)
    with matrix_unit(precision, inputs.device):
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            logits = network(inputs)
        loss = F.cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), targets) * weight
        loss.backward(torch.full_like(loss, share))
    return loss.detach(), (logits.detach().argmax(1) == targets).sum() * (weight > 0)
