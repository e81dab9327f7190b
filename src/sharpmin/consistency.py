"""Is the gradient that of f? A probe for models and losses that stop or replace gradients.

A `.detach()` in the loss (SimSiam's targets, DoRA's norms), a straight-through estimator or an approximate backward
pass gives PyTorch a gradient that is not f's, on purpose. A training may follow it; Metric 2.1, eigenvalues and other
measures by gradients are then of no function at all. Along d = g/|g|

    (f(theta + h d) - f(theta - h d)) / 2h  ->  |g|    as h -> 0

if g is the gradient of f, and to something else if not.
"""

from itertools import pairwise

import torch
from torch import Tensor

from sharpmin.arithmetic import eps
from sharpmin.determinism import first_batch
from sharpmin.objective import Objective
from sharpmin.randomness import RandomStream

STEPS = (1e-5, 1e-4, 1e-3, 1e-2)  # of |theta|: rounding spoils the short ones, curvature the long ones
TOLERANCE = 0.01  # of |g|
ROUNDINGS = 100  # of the loss: a smaller difference says nothing
SETTLED = 0.2  # of the distance from |g|: so near to each other are two slopes that rounding and curvature leave alone


def is_not_its_gradient(f: Objective) -> str | None:
    """Say in a sentence that the gradient is not that of f; None where nothing was seen.

    Looks at the first batch only, at the present weights and along the gradient. In bfloat16, TF32 and under
    "recalibrate" it does not look.

    Raises:
        UsageError: the data gave no batch, or the loss does not depend on the weights.

    Example:
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=8, test=8, shape=(4,), classes=3)
        >>> is_not_its_gradient(Objective(torch.nn.Linear(4, 3), toy.train)) is None
        True

    """
    if f.precision != "float32" or f.batch_norm == "recalibrate":
        return None
    batch, theta = first_batch(f), f.theta
    pieces = {name: piece.requires_grad_() for name, piece in f.pieces(theta).items()}
    with RandomStream(f.device):
        at_theta, gradient = f.gradient(f.at(pieces), list(pieces.values()), batch)
    length = torch.linalg.vector_norm(gradient, dtype=torch.float64).item()
    scale = torch.linalg.vector_norm(theta, dtype=torch.float64).item() or 1.0
    if not 0 < length < float("inf"):
        return None
    slopes, rounding = list[float](), ROUNDINGS * eps(theta.dtype, f.precision) * abs(at_theta.total.item())
    for h in (step * scale for step in STEPS):
        found = slope(f, batch, theta, gradient / length, h)
        if abs(found - length) <= TOLERANCE * length:
            return None
        slopes += [found] if 2 * h * max(abs(found), length) > rounding else []
    settled = [one for one, other in pairwise(slopes) if agree(one, other, apart_from=length)]
    if not settled:
        return None
    return (
        f"the gradient is not that of the loss: along it the loss of the first batch grows by {settled[0]:.3g} a unit, "
        f"the gradient says {length:.3g}. Something stops or replaces gradients (a detach, a straight-through "
        "estimator); values are right, but Metric 2.1, eigenvalues and all else that takes gradients is of no function"
    )


@torch.no_grad()
def slope(f: Objective, batch: object, theta: Tensor, direction: Tensor, h: float) -> float:
    """The central difference of the batch's summed loss, along the direction [n] of length 1."""

    def loss(step: float) -> float:
        with RandomStream(f.device):
            return f.score(f.at(f.pieces(torch.add(theta, direction, alpha=step))), batch).total.item()

    return (loss(h) - loss(-h)) / (2 * h)


def agree(one: float, other: float, *, apart_from: float) -> bool:
    """Whether two slopes are near to each other, beside their distances from a third."""
    return abs(one - other) <= SETTLED * min(abs(one - apart_from), abs(other - apart_from))
