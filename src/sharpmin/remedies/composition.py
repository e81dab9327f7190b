"""The gradient of a batch with all remedies that a configuration has, one around another."""

from functools import partial

import torch
from torch import nn

from sharpmin.blocked import Blocked, can_block
from sharpmin.remedies.conservative import trained
from sharpmin.remedies.ghost import ghost_gradient
from sharpmin.remedies.gradient import Gradient, mean_gradient
from sharpmin.remedies.robust import robust_gradient
from sharpmin.remedies.sam import sam_gradient
from sharpmin.train_config import TrainConfig


def gradient_of(model: nn.Module, config: TrainConfig, *, device: torch.device) -> Gradient:
    """The gradient of a batch: uphill of the weights, there of adversarial inputs too, and of each by ghost batches."""
    network = Blocked(model) if device.type == "cpu" and can_block(model) else model  # type: ignore[arg-type]
    gradient: Gradient = partial(mean_gradient, network, precision=config.precision)
    if config.ghost_batch_norm is not None:
        gradient = partial(ghost_gradient, gradient, size=config.ghost_batch_norm.size)
    if config.robust is not None:
        gradient = partial(robust_gradient, gradient, epsilon=config.robust.epsilon, clean=config.robust.clean)
    if config.sam is not None:
        gradient = partial(sam_gradient, gradient, weights=trained(model), rho=config.sam.rho)
    return gradient
