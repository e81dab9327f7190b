"""The gradient of a batch with all remedies that a configuration has, one around another.

Several processes share out the innermost batch, the one that BatchNorm sees, and add their gradients up before anything
is decided by them: so SAM climbs along the gradient of the whole batch.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from sharpmin.distributed.gradients import add_gradients
from sharpmin.distributed.group import ALONE, Group
from sharpmin.distributed.networks import spread
from sharpmin.remedies.conservative import trained
from sharpmin.remedies.ghost import ghost_gradient
from sharpmin.remedies.gradient import Gradient, mean_gradient
from sharpmin.remedies.robust import robust_gradient
from sharpmin.remedies.sam import sam_gradient
from sharpmin.train_config import TrainConfig


def gradient_of(model: nn.Module, config: TrainConfig, *, device: torch.device, group: Group = ALONE) -> Gradient:
    """The gradient of a batch: uphill of the weights, there of adversarial inputs too, and of each by ghost batches."""
    network = spread(model, group, device=device)
    gradient: Gradient = partial(mean_gradient, network, precision=config.precision, group=group)
    if config.ghost_batch_norm is not None:
        gradient = partial(ghost_gradient, gradient, size=config.ghost_batch_norm.size)
    if config.robust is not None:
        own = config.robust
        gradient = partial(robust_gradient, gradient, epsilon=own.epsilon, clean=own.clean, group=group)
    if group.size > 1:
        gradient = partial(summed_gradient, gradient, weights=trained(model), group=group)
    if config.sam is not None:
        gradient = partial(sam_gradient, gradient, weights=trained(model), rho=config.sam.rho)
    return gradient


def summed_gradient(
    gradient: Gradient,
    inputs: Tensor,
    targets: Tensor,
    share: float = 1.0,
    *,
    weights: Sequence[nn.Parameter],
    group: Group,
) -> tuple[Tensor, Tensor]:
    """Set the gradient to `share` times that of the whole batch, of which every process has added its part.

    What was in `.grad` before is summed as well: let it be nothing.
    """
    loss, hits = add_gradients(group, weights, *gradient(inputs, targets, share))
    return loss, hits
