"""Products with the Hessian and the Gauss-Newton matrix of any network on one batch, by PyTorch's autograd.

forward-over-reverse    H v = d/dt grad f(theta + t v) at t = 0: the gradient, computed with numbers that carry their
                        derivative in t along.
double-backward         H v = grad (grad f . v): for operators that have no forward derivative.

Gauss-Newton's J^T H_L J v takes J v from a forward derivative, or double-backward as grad_u (J^T u . v).
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from sharpmin.losses import check_depends
from sharpmin.objective import Objective
from sharpmin.products.outputs import at_outputs, pull_back

Named = Mapping[str, Tensor]


class Share(NamedTuple):
    """What a batch adds to a product: its examples, and the sum over them for each weight in v, in v's order."""

    examples: int
    sums: tuple[Tensor, ...]


def forward_over_reverse(objective: Objective, weights: Named, v: Named, batch: Any) -> Share:
    """H v.

    Args:
        objective: f.
        weights: of theta, by name.
        v: the direction of those that are varied, by name.
        batch: as the objective reads it.

    """
    with torch.enable_grad(), dual_numbers():
        moving = {name: forward_ad.make_dual(weights[name].detach().requires_grad_(), v[name]) for name in v}
        examples, slopes = gradient(objective, weights, moving, batch)
        return Share(examples, tuple(tangent_of(slope) for slope in slopes))


def gradient(objective: Objective, weights: Named, moving: Named, batch: Any, *, create_graph: bool = False) -> Share:
    """The gradient of the batch's loss in the moving weights."""
    found = objective.score(objective.at({**weights, **moving}, plain=True), batch)
    if len(moving) == len(weights):  # some of them alone may have no part in the loss
        check_depends(found.total)
    one = torch.ones_like(found.total)
    return Share(found.examples, pull_back([found.total], list(moving.values()), [one], create_graph=create_graph))


def double_backward(objective: Objective, weights: Named, v: Named, batch: Any) -> Share:
    """H v."""
    with torch.enable_grad():
        moving = {name: weights[name].detach().requires_grad_() for name in v}
        examples, slopes = gradient(objective, weights, moving, batch, create_graph=True)
        return Share(examples, pull_back(slopes, list(moving.values()), list(v.values())))


def gauss_newton_forward(objective: Objective, weights: Named, v: Named, batch: Any) -> Share:
    """J^T H_L J v, with J v from a forward derivative."""
    with torch.enable_grad():
        with dual_numbers():
            moving = {name: forward_ad.make_dual(weights[name].detach().requires_grad_(), v[name]) for name in v}
            loss = at_outputs(objective, objective.at({**weights, **moving}, plain=True), batch)
            pushed = [tangent_of(z) for z in loss.computed]
            outputs = [forward_ad.unpack_dual(z).primal for z in loss.computed]
        return Share(loss.examples, pull_back(outputs, list(moving.values()), loss.curve(pushed)))


def gauss_newton_backward(objective: Objective, weights: Named, v: Named, batch: Any) -> Share:
    """J^T H_L J v, with J v = grad_u (J^T u . v)."""
    with torch.enable_grad():
        moving = [weights[name].detach().requires_grad_() for name in v]
        network = objective.at({**weights, **dict(zip(v, moving, strict=True))}, plain=True)
        loss = at_outputs(objective, network, batch)
        u = [torch.zeros_like(z, requires_grad=True) for z in loss.computed]
        pulled = pull_back(loss.computed, moving, u, create_graph=True)
        pushed = pull_back(pulled, u, list(v.values()), retain_graph=True)
        return Share(loss.examples, pull_back(loss.computed, moving, loss.curve(pushed)))


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
