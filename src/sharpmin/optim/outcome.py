"""What `lbfgsb.minimize` is asked for, shows on the way, and answers."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from torch import Tensor

Function = Callable[[Tensor], tuple[Tensor | float, Tensor]]
"""x (n) -> (value, gradient (n))."""


class Status(StrEnum):
    """Why a minimisation ended."""

    CONVERGED_GRADIENT = "converged_gradient"
    CONVERGED_VALUE = "converged_value"
    ITERATIONS = "iterations"
    EVALUATIONS = "evaluations"
    LINE_SEARCH = "line_search"
    NON_FINITE = "non_finite"
    STOPPED = "stopped"


MESSAGES = {
    Status.CONVERGED_GRADIENT: "The projected gradient is no larger than gtol.",
    Status.CONVERGED_VALUE: "The last iteration lowered the value by no more than ftol asks for.",
    Status.ITERATIONS: "The limit on iterations was reached; raise max_iter to go on.",
    Status.EVALUATIONS: "The limit on evaluations was reached; raise max_evaluations to go on.",
    Status.LINE_SEARCH: (
        "No lower value was found along the projected gradient: rounding hides any progress, "
        "or the gradient is not that of the value."
    ),
    Status.NON_FINITE: "The value or the gradient was infinite or NaN at the point `non_finite_at`.",
    Status.STOPPED: "The callback asked to stop.",
}


@dataclass(frozen=True)
class Iterate:
    """What the callback sees after each iteration; `x` is lent, so clone what you keep."""

    x: Tensor
    fun: float
    projected_gradient: float
    nit: int
    nfev: int


@dataclass(frozen=True)
class Limits:
    """When to stop; the options of `lbfgsb.minimize` by the same names."""

    max_iter: int
    ftol: float
    gtol: float
    max_evaluations: int | None
    max_line_search: int
    callback: Callable[[Iterate], object] | None


@dataclass(frozen=True)
class Result:
    """The best point evaluated, with the evidence.

    Attributes:
        x: the point with the lowest finite value of all that were evaluated; always inside the box.
        fun: the value there.
        grad: the gradient there.
        projected_gradient: max_i |P(x - g, l, u) - x|_i there; 0 where no descent is left.
        nit: iterations.
        nfev: evaluations of value and gradient.
        status: why it ended.
        message: the same in a sentence.
        non_finite_at: where the value or the gradient was infinite or NaN; None if nowhere.
        non_finite_value: the value found there.
    """

    x: Tensor
    fun: float
    grad: Tensor
    projected_gradient: float
    nit: int
    nfev: int
    status: Status
    message: str
    non_finite_at: Tensor | None = None
    non_finite_value: float | None = None
