"""Is the gradient that of f? A probe for models and losses that stop or replace gradients.

A `.detach()` in the loss (SimSiam's targets), a straight-through estimator or an approximate backward pass gives
PyTorch a gradient that is not f's, on purpose. A training may follow it; Metric 2.1, eigenvalues and other measures by
gradients are then of no function at all. With d = g/|g|

    (f(theta + h d) - f(theta - h d)) / 2h |g|  ->  1    as h -> 0

if g is the gradient of f, and to something else if not. Kinks that lie within h (a trained ReLU network has many) hold
the ratio away from 1 as well, but then it goes on changing as h gets smaller. So an alarm needs the three smallest
steps that rounding allows to agree with each other.
"""

import torch
from torch import Tensor

from sharpmin.arithmetic import eps
from sharpmin.determinism import first_batch
from sharpmin.objective import Objective
from sharpmin.randomness import RandomStream

STEPS = tuple(10 ** (-half / 2) for half in range(16, 3, -1))  # 1e-8 to 1e-2 of |theta|
ROUNDINGS = 4  # that a batch's loss is off by, in units of eps (|loss| + examples): a log-softmax rounds 1 - p
NOISE = 2e-3  # of the ratio, that rounding may make
TOLERANCE = 0.01  # of the ratio
AGREEING = 3  # ratios, at the smallest steps
SETTLED = 0.05  # of the distance from 1: so near to each other are two ratios that go on to no other


def is_not_its_gradient(f: Objective) -> str | None:
    """Say in a sentence that the gradient is not that of f; None where nothing was seen.

    Looks at the first batch only, at the present weights and along the gradient; what is off by less than 1% there is
    not noticed, nor anything where losses are near eps. In bfloat16, TF32 and under "recalibrate" it does not look.

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
    size = abs(at_theta.total.item()) + at_theta.examples
    ratios, rounding = list[float](), ROUNDINGS * eps(theta.dtype, f.precision) * size
    for h in (step * scale for step in STEPS):
        found, foretold = changes(f, batch, theta, gradient, h / length)
        if rounding > NOISE * max(abs(found), abs(foretold)):
            continue
        ratios.append(found / foretold if foretold else float("inf"))
        if abs(ratios[-1] - 1) <= TOLERANCE:
            return None
    shortest = ratios[:AGREEING]
    if len(shortest) < AGREEING or not max(shortest) - min(shortest) <= SETTLED * abs(shortest[0] - 1):
        return None
    return (
        f"the gradient is not that of the loss: along it the first batch's loss grows by {ratios[0]:.3g} of what it "
        "says. Something stops or replaces gradients (a detach, a straight-through estimator): values are right, but "
        "Metric 2.1, eigenvalues and all else that takes gradients is of no function"
    )


@torch.no_grad()
def changes(f: Objective, batch: object, theta: Tensor, gradient: Tensor, step: float) -> tuple[float, float]:
    """The change of the batch's summed loss from theta - step g to theta + step g, and what g says of it.

    Both are of the weights as they are rounded.
    """

    def loss(at: Tensor) -> float:
        with RandomStream(f.device):
            return f.score(f.at(f.pieces(at)), batch).total.item()

    behind, ahead = torch.add(theta, gradient, alpha=-step), torch.add(theta, gradient, alpha=step)
    return loss(ahead) - loss(behind), torch.dot((ahead - behind).double(), gradient.double()).item()
