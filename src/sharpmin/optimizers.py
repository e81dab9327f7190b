"""The optimizers of training, and their state by the names of the weights.

PyTorch's own, at Keras-1 defaults: betas 0.9 and 0.999, epsilon 1e-8. A state is two dictionaries of plain tensors on
the CPU: the weights by name, and the optimizer's step counts and moments by `name.kind`. Put back into a new optimizer,
they give the same next step, bit for bit.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

Rule = Literal["adam", "sgd", "adagrad"]
LEARNING_RATES: dict[Rule, float] = {"adam": 1e-3, "sgd": 1e-2, "adagrad": 1e-2}  # Keras-1 defaults
EPSILON = 1e-8  # likewise


def make(rule: Rule, model: nn.Module, *, learning_rate: float, momentum: float = 0.0) -> torch.optim.Optimizer:
    """A new optimizer for the model's weights.

    Args:
        rule: "adam", "sgd" or "adagrad".
        model: whose weights it moves.
        learning_rate: of the rule.
        momentum: of "sgd".

    """
    if rule == "sgd":
        return torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=momentum)
    if rule == "adagrad":
        return torch.optim.Adagrad(model.parameters(), lr=learning_rate, eps=EPSILON)
    return torch.optim.Adam(model.parameters(), lr=learning_rate, eps=EPSILON, fused=True)


def named_copies(model: nn.Module) -> dict[str, Tensor]:
    """The trainable weights by name, copied to the CPU in their plain layout."""
    return {name: plain_copy(p) for name, p in model.named_parameters()}


def moments_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's step counts and moments, copied likewise; a frozen or unused weight may have none."""
    return {
        f"{name}.{kind}": plain_copy(value)
        for name, parameter in model.named_parameters()
        for kind, value in optimizer.state[parameter].items()
    }


def plain_copy(tensor: Tensor) -> Tensor:
    """A contiguous copy on the CPU."""
    return tensor.detach().to("cpu", copy=True).contiguous()


@torch.no_grad()
def restore(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    weights: Mapping[str, Tensor],
    moments: Mapping[str, Tensor],
) -> None:
    """Put weights into the model, and moments into its new optimizer, in the model's own layout."""
    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        parameter.copy_(weights[name])
    for key, moment in moments.items():
        name, _, kind = key.rpartition(".")
        parameter = parameters[name]
        if kind == "step":  # fused rules count where the weights are, the others on the CPU
            held = moment.to(parameter.device if optimizer.defaults.get("fused") else "cpu", copy=True)
        else:
            held = torch.empty_like(parameter).copy_(moment)
        optimizer.state[parameter][kind] = held
