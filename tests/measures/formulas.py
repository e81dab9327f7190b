"""Objectives given by a formula, and a ReLU network whose layers can be rescaled."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cases import F64, examples, random, scrambled
from sharpmin.objective import Objective


class Weights(nn.Module):
    """A model that is nothing but its weight vector."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.w = nn.Parameter(weights)

    def forward(self) -> Tensor:
        return self.w


def objective(formula: Callable[[Tensor], Tensor], weights: Tensor) -> Objective:
    """f(theta) = formula(theta), as the mean over one example."""
    return Objective(Weights(weights), [None], loss=lambda model, batch: formula(model())[None])


def quadratic(x: Tensor, g: Tensor, hessian: Tensor) -> Objective:
    """f(x + y) = g.y + y.H y / 2."""
    return objective(lambda w: g @ (w - x) + 0.5 * (w - x) @ (hessian @ (w - x)), x)


def network(seed: int = 0, *, inputs: int = 4, hidden: int = 5, classes: int = 3) -> nn.Sequential:
    """Two layers with a ReLU between them, in float64."""
    model = scrambled(nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, classes)), F64)
    for parameter in model.parameters():
        parameter.data = parameter.data[torch.randperm(len(parameter), generator=torch.Generator().manual_seed(seed))]
    return model


def trained(steps: int = 200) -> Objective:
    """Cross-entropy of a small ReLU network after some steps of gradient descent on all of its data."""
    inputs = examples(200, 10, seed=3).inputs
    targets = (inputs @ random(10, 3, seed=8)).argmax(1)
    f = Objective(network(inputs=10, hidden=16), [(inputs, targets)])
    theta = f.theta
    for _ in range(steps):
        theta -= 0.3 * f.value_and_grad(theta)[1]
    nn.utils.vector_to_parameters(theta, f.model.parameters())
    return f


def rescaled(f: Objective, a: float) -> Tensor:
    """The weights of the same function with the first layer times a and the next layer's matrix divided by a."""
    first, bias, second, last = (parameter.detach() for parameter in f.model.parameters())
    return torch.cat([(a * first).reshape(-1), a * bias, (second / a).reshape(-1), last])
