"""The box of Metric 2.1 and its highest point: where a search by L-BFGS-B begins, who does it, and what it has met."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sharpmin.measures.subspace import RandomSubspace
from sharpmin.objective import Objective
from sharpmin.optim import lbfgsb
from sharpmin.progress import Progress


class SearchedBox:
    """f on the box C around x, in the coordinates y; remembers the largest value met and where."""

    def __init__(
        self,
        objective: Objective,
        x: Tensor,
        *,
        epsilon: float,
        subspace: int | None,
        seed: int,
        expected: int,
        progress: Progress,
    ) -> None:
        self.objective, self.x, self.expected, self.progress = objective, x, expected, progress
        self.span = None if subspace is None else RandomSubspace(len(x), subspace, seed=seed, like=x)
        coordinates = x if self.span is None else self.span.coordinates(x)
        self.widths = epsilon * (coordinates.abs() + 1)
        self.best, self.best_loss = torch.zeros_like(self.widths), -math.inf
        self.evaluations = 0
        self.climb: list[float] = []

    def evaluate(self, y: Tensor) -> tuple[float, Tensor]:
        """f(x + A y) and its gradient in y."""
        moved = self.x + (y if self.span is None else self.span.apply(y))
        loss, gradient = self.objective.value_and_grad(moved)
        self.evaluations += 1
        if loss > self.best_loss or self.evaluations == 1:
            self.best, self.best_loss = y.clone(), loss
        self.progress(
            "sharpness",
            self.evaluations,
            max(self.expected, self.evaluations + 1),  # a line search may need more than one
            unit="evaluations",
            note=f"highest loss {self.best_loss:.4f}",
        )
        return loss, gradient if self.span is None else self.span.transposed(gradient)

    def negated(self, y: Tensor) -> tuple[float, Tensor]:
        """-f and its gradient, for a minimiser."""
        loss, gradient = self.evaluate(y)
        if not self.climb:
            self.note_height()
        return -loss, gradient.neg_()

    def note_height(self, _: object = None) -> None:
        """Note the largest value so far; a minimiser calls this after each iteration."""
        self.climb.append(self.best_loss)


@dataclass(frozen=True)
class Ended:
    """How a search ended."""

    iterations: int
    status: str
    message: str


def maximise(box: SearchedBox, y: Tensor, *, iterations: int) -> Ended:
    """Search the box from y by L-BFGS-B; what was found is in `box`."""
    result = lbfgsb.minimize(box.negated, y, (-box.widths, box.widths), max_iter=iterations, callback=box.note_height)
    return Ended(result.nit, str(result.status), result.message)


class NonFiniteError(ArithmeticError):
    """f became infinite or NaN in the box; SciPy would search on from there."""


def maximise_by_scipy(box: SearchedBox, y: Tensor, *, iterations: int) -> Ended:
    """The same by SciPy, in float64 on the host, its tolerances at 0."""
    import scipy.optimize  # here, because importing it adds warning filters to the process

    def negated(at: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = box.negated(torch.from_numpy(at).to(box.widths))
        if not (math.isfinite(loss) and gradient.isfinite().all()):
            raise NonFiniteError
        return loss, gradient.double().cpu().numpy()

    widths = box.widths.double().cpu().numpy()
    options = {"maxiter": iterations, "maxcor": 10, "ftol": 0.0, "gtol": 0.0, "maxfun": np.iinfo(np.int32).max}
    try:
        found = scipy.optimize.minimize(
            negated,
            y.double().cpu().numpy(),
            jac=True,
            method="L-BFGS-B",
            bounds=scipy.optimize.Bounds(-widths, widths),
            callback=box.note_height,
            options=options,
        )
    except NonFiniteError:
        return Ended(len(box.climb) - 1, "non_finite", lbfgsb.MESSAGES[lbfgsb.Status.NON_FINITE])
    return Ended(found.nit, {0: "converged", 1: "iterations"}.get(found.status, "abnormal"), str(found.message))


def corner(box: SearchedBox, gradient: Tensor, *, seed: int) -> Tensor:
    """The corner of the box that the gradient points to; where the gradient is exactly 0, that of a nearby point."""
    if not bool(gradient.any()):
        generator = torch.Generator().manual_seed(seed)
        inside = torch.rand(len(box.widths), generator=generator).to(box.widths) * 2 - 1
        _, gradient = box.evaluate(inside * box.widths)
    return box.widths * gradient.sign()
