"""Metric 2.1 of Keskar et al. 2017: how far the loss can rise in a small box around a minimizer.

    phi = 100 * (max_{y in C} f(x + A y) - f(x)) / (1 + f(x)),
    C = { y in R^p : |y_i| <= epsilon (|(A^+ x)_i| + 1) },

with A = I_n (full space) or A in R^{n x p} random (subspace). The maximisation is inexact: 10 iterations of L-BFGS-B.

What the paper leaves open, and what we do:

start       "corner", y_i = b_i sign(g_i) with g the gradient of y -> f(x + A y) at 0 and b the half-widths of the
            box: where the linear model is largest. At a well-converged minimizer the gradient is so small that ten
            iterations from y = 0 hardly move, and the sharpest minima measure 0. "zero" is the literal alternative.
units       y in its own units; scaled to [-1, 1] the first steps become far too short.
tolerances  none: the search ends after its iterations, not because f changes little in absolute terms.
result      the best point seen, never less than f(x) itself.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor

from sharpmin.errors import UsageError
from sharpmin.measures.searched_box import Ended, SearchedBox, corner, maximise, maximise_by_scipy
from sharpmin.objective import Objective
from sharpmin.progress import Progress, silent

Start = Literal["corner", "zero"]
Solver = Literal["sharpmin", "scipy"]
LARGE, SMALL = 0.1, 0.01  # shares of the rise: of `still_climbing`
NOWHERE = Ended(0, "non_finite", "f is not finite at theta itself, so there is nothing to compare with")


@dataclass(frozen=True, eq=False)
class Sharpness:
    """Metric 2.1 at one point, with what makes it believable.

    Attributes:
        value: phi, in percent; infinite where f became infinite in the box, NaN where f(x) is not finite, or f or its
            gradient became NaN in the box.
        loss: f(x).
        max_loss: the largest f seen in the box.
        epsilon: half-width of the box, relative to |weight| + 1.
        subspace: p, or None for the full space.
        displacement: the maximiser y found, [n] or [p]; feasible.
        start: "corner" or "zero".
        solver: whose L-BFGS-B.
        iterations: of L-BFGS-B.
        climb: the largest f seen where the search started and after each iteration. Where the last iterations still
            add much, they were too few, and phi is far below the maximum of the box.
        evaluations: of f and its gradient, all included.
        status: why the search ended: see `sharpmin.optim.lbfgsb.Status`; "abnormal" where SciPy's line search failed.
        message: the same in a sentence.
        first_order: sum_i |g_i| b_i, the rise a linear f would have; the rest is curvature.
        seconds: time taken.
        seed: of the subspace, and of the perturbation where the gradient is exactly 0.
        batch_norm: policy of f.
        batch_size: evaluation batch of f; None where the data came in batches of their own.
        precision: of f.

    """

    value: float
    loss: float
    max_loss: float
    epsilon: float
    subspace: int | None
    displacement: Tensor
    start: Start
    solver: Solver
    iterations: int
    climb: tuple[float, ...]
    evaluations: int
    status: str
    message: str
    first_order: float
    seconds: float
    seed: int
    batch_norm: str
    batch_size: int | None
    precision: str

    @property
    def still_climbing(self) -> bool:
        """Whether more iterations would very likely find more: see `still_climbing`."""
        return still_climbing(self.status, self.climb, self.loss)


def still_climbing(status: str, climb: Sequence[float], loss: float) -> bool:
    """Whether a search spent its iterations where f still rose: by more than before, or by a good part of the whole.

    A search that starts on the flat bottom of a minimum climbs slowly, then fast, then slowly again. One that ends
    before the third part says little of the maximum: three times as many iterations have found 88 to 420 times as much
    (records/2026-11-26_F1-iterations).

    Args:
        status: why it ended; only "iterations" can be too few.
        climb: the largest f seen where the search started and after each iteration.
        loss: f(x).

    Returns:
        True where the last iteration added over a tenth of the whole rise, or over a hundredth and more than the one
        before.

    Example:
        >>> still_climbing("iterations", (1.0, 1.1, 1.3), 1.0), still_climbing("iterations", (1.0, 5.0, 5.01), 1.0)
        (True, False)

    """
    if status != "iterations" or len(climb) < 2 or climb[-1] == climb[-2]:
        return False
    *_, before, last = (high - low for low, high in pairwise((loss, *climb)))
    share = last / (climb[-1] - loss)
    return share > LARGE or (share > SMALL and last > before)


def sharpness(
    objective: Objective,
    *,
    theta: Tensor | None = None,
    epsilon: float = 1e-3,
    subspace: int | None = None,
    iterations: int = 10,
    start: Start = "corner",
    solver: Solver = "sharpmin",
    seed: int = 0,
    progress: Progress = silent,
) -> Sharpness:
    """Measure the sharpness (Metric 2.1) of f at theta.

    Args:
        objective: f; the paper takes the mean loss on the whole training set.
        theta: x, [n]; by default the model's present weights.
        epsilon: the paper uses 1e-3 and 5e-4.
        subspace: p for a random subspace (the paper: 100), None for the full space.
        iterations: of L-BFGS-B (the paper: 10).
        start: "corner" or "zero"; see the module's text.
        solver: "sharpmin", L-BFGS-B on torch tensors where f is, or "scipy", in float64 on the host.
        seed: of the random subspace.
        progress: told the evaluations done.

    Returns:
        phi with its evidence.

    Raises:
        UsageError: epsilon not above 0, iterations below 1, a subspace larger than n, theta of another network; f(x) of
            -1 or below.

    Example:
        >>> from sharpmin import Objective, data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> f = Objective(torch.nn.Linear(4, 3).double(), [(toy.train.inputs.double(), toy.train.targets)])
        >>> result = sharpness(f)
        >>> result.max_loss >= result.loss + 0.9 * result.first_order
        True

    Source: Keskar et al. 2017, Metric 2.1 and Tables 3 and 4.

    """
    check(epsilon, iterations, start, solver)
    objective.check_differentiable()
    began = time.perf_counter()
    x = objective.theta if theta is None else theta.detach().to(objective.device)
    box = SearchedBox(
        objective, x, epsilon=epsilon, subspace=subspace, seed=seed, expected=iterations + 2, progress=progress
    )
    loss, gradient = box.evaluate(torch.zeros_like(box.widths))
    if -math.inf < loss <= -1:
        raise UsageError(f"f(x) is {loss:g}, and Metric 2.1 divides by 1 + f(x): it is for losses above -1")
    ended = NOWHERE
    if math.isfinite(loss):
        y = torch.zeros_like(box.widths) if start == "zero" else corner(box, gradient, seed=seed)
        ended = {"sharpmin": maximise, "scipy": maximise_by_scipy}[solver](box, y, iterations=iterations)
    progress("sharpness", box.evaluations, box.evaluations, unit="evaluations", note=f"max loss {box.best_loss:.4f}")
    return Sharpness(
        value=phi(loss, box.best_loss, status=ended.status),
        loss=loss,
        max_loss=box.best_loss,
        epsilon=epsilon,
        subspace=subspace,
        displacement=box.best,
        start=start,
        solver=solver,
        iterations=ended.iterations,
        climb=tuple(box.climb),
        evaluations=box.evaluations,
        status=ended.status,
        message=ended.message,
        first_order=(gradient.abs().double() @ box.widths.double()).item(),
        seconds=time.perf_counter() - began,
        seed=seed,
        batch_norm=objective.batch_norm,
        batch_size=objective.batch_size,
        precision=objective.precision,
    )


def phi(loss: float, max_loss: float, *, status: str) -> float:
    """Metric 2.1 in percent: 100 (max f - f(x)) / (1 + f(x)).

    What is NaN somewhere in the box has no maximum there, whatever has been met before; what is infinite has.

    Example:
        >>> phi(1.0, 1.5, status="iterations"), phi(1.0, 1.5, status="non_finite")
        (25.0, nan)

    """
    if math.isinf(max_loss) and math.isfinite(loss):
        return math.inf
    return math.nan if status == "non_finite" else 100 * (max_loss - loss) / (1 + loss)


def check(epsilon: float, iterations: int, start: str, solver: str) -> None:
    """Raise a UsageError for a box or a search that makes no sense."""
    if not (epsilon > 0 and math.isfinite(epsilon)):
        raise UsageError(f"epsilon is {epsilon}: it must be a number above 0 (the paper: 1e-3 and 5e-4)")
    if iterations < 1:
        raise UsageError(f"{iterations} iterations: ask for at least 1 (the paper: 10)")
    if start not in get_args(Start):
        raise UsageError(f"unknown start {start!r}: choose {' or '.join(get_args(Start))}")
    if solver not in get_args(Solver):
        raise UsageError(f"unknown solver {solver!r}: choose {' or '.join(get_args(Solver))}")
