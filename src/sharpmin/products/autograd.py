"""Products with the Hessian and the Gauss-Newton matrix of any network on one batch, by PyTorch's autograd.

forward-over-reverse    H v = d/dt grad f(theta + t v) at t = 0: the gradient, computed with numbers that carry their
                        derivative in t along.
double-backward         H v = grad (grad f . v): for operators that have no forward derivative.

Gauss-Newton's J^T H_L J v takes J v from a forward derivative, or double-backward as grad_u (J^T u . v).
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from sharpmin.losses import check_depends
from sharpmin.objective import Objective
from sharpmin.products.operations import twice_differentiable
from sharpmin.products.outputs import at_outputs, pull_back

Named = Mapping[str, Tensor]


class Share(NamedTuple):
    """What a batch adds to a product: its examples, and the sum over them for each weight in v, in v's order."""

    examples: int
    sums: tuple[Tensor, ...]


@torch.enable_grad()
def forward_over_reverse(objective: Objective, weights: Named, v: Named, batch: Any) -> Share:
    """H v.

    Args:
        objective: f.
        weights: of theta, by name.
        v: the direction of those that are varied, by name.
        batch: as the objective reads it.

    """
    with dual_numbers():
        moving = {name: forward_ad.make_dual(weights[name].detach().requires_grad_(), v[name]) for name in v}

        def product(model: nn.Module, batch: Any) -> Share:
            examples, slopes = gradient(objective, model, moving, batch, alone=len(v) == len(weights))
            return Share(examples, tuple(tangent_of(slope) for slope in slopes))

        return on_batch(objective, {**weights, **moving}, product, batch)


@torch.enable_grad()
def double_backward(objective: Objective, weights: Named, v: Named, batch: Any) -> Share:
    """H v."""
    moving = {name: weights[name].detach().requires_grad_() for name in v}

    def product(model: nn.Module, batch: Any) -> Share:
        examples, slopes = gradient(objective, model, moving, batch, alone=len(v) == len(weights), create_graph=True)
        return Share(examples, pull_back(slopes, list(moving.values()), list(v.values())))

    return on_batch(objective, {**weights, **moving}, product, batch)


@torch.enable_grad()
def gauss_newton_forward(objective: Objective, weights: Named, v: Named, batch: Any) -> Share:
    """J^T H_L J v, with J v from a forward derivative."""
    with dual_numbers():
        moving = {name: forward_ad.make_dual(weights[name].detach().requires_grad_(), v[name]) for name in v}

        def product(model: nn.Module, batch: Any) -> Share:
            loss = at_outputs(objective, model, batch)
            pushed = [tangent_of(z) for z in loss.computed]
            outputs = [forward_ad.unpack_dual(z).primal for z in loss.computed]
            return Share(loss.examples, pull_back(outputs, list(moving.values()), loss.curve(pushed)))

        return on_batch(objective, {**weights, **moving}, product, batch)


@torch.enable_grad()
def gauss_newton_backward(objective: Objective, weights: Named, v: Named, batch: Any) -> Share:
    """J^T H_L J v, with J v = grad_u (J^T u . v)."""
    moving = {name: weights[name].detach().requires_grad_() for name in v}

    def product(model: nn.Module, batch: Any) -> Share:
        loss = at_outputs(objective, model, batch)
        u = [torch.zeros_like(z, requires_grad=True) for z in loss.computed]
        pulled = pull_back(loss.computed, list(moving.values()), u, create_graph=True)
        pushed = pull_back(pulled, u, list(v.values()), retain_graph=True)
        return Share(loss.examples, pull_back(loss.computed, list(moving.values()), loss.curve(pushed)))

    return on_batch(objective, {**weights, **moving}, product, batch)


def on_batch(objective: Objective, weights: Named, product: Callable[[nn.Module, Any], Share], batch: Any) -> Share:
    """The product on a batch, by the model with these weights, every operation one that can be differentiated twice."""
    with twice_differentiable():
        return objective.lend(objective.at(weights, plain=True), product, batch)


def gradient(
    objective: Objective, model: nn.Module, moving: Named, batch: Any, *, alone: bool, create_graph: bool = False
) -> Share:
    """The gradient of the batch's loss in the moving weights; where these are all, the loss must depend on them."""
    found = objective.score(model, batch)
    if alone:
        check_depends(found.total)
    one = torch.ones_like(found.total)
    return Share(found.examples, pull_back([found.total], list(moving.values()), [one], create_graph=create_graph))


@contextmanager
def dual_numbers() -> Iterator[None]:
    """Let tensors carry a derivative. PyTorch loads some of its rules on first use, and warns of itself then."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import_module("torch._decomp.decompositions_for_jvp")
    with forward_ad.dual_level():
        yield


def tangent_of(number: Tensor) -> Tensor:
    """The derivative that a dual number carries."""
    tangent = forward_ad.unpack_dual(number).tangent
    return torch.zeros_like(number) if tangent is None else tangent.detach()
