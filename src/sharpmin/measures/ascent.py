"""Projected normalised gradient ascent: how high f gets in a ball around 0.

    u <- P(u + a d(s)),    s = the gradient of f at u,    d(s) = argmax { s.v : |v| <= 1 },

with P the projection onto { |u| <= radius }: d(s) = s / |s|_2 in the Euclidean norm and sign(s) in the maximum norm.
The ascent starts at u = 0. There a step of at least the radius ends where a linear f is largest in the ball: for the
Euclidean norm that is the step of SAM (Foret et al. 2021, equation 2), for the maximum norm the fast gradient sign
step; repeated with the projection, it is the PGD of Madry et al. 2018 (section 2.1).

What these papers leave open, and what we do (with Croce and Hein 2020, Auto-PGD, but without its momentum):

step        a = 2 radius at first, so that one step can cross the ball. Where f did not rise, a is halved and the next
            step is taken from the same point; where it did, a is doubled again, up to its first length. So f never
            falls on the way, and more steps never give less.
end         after its steps, or where f is infinite or NaN, or where the next step would not change the point. By itself
            the last says little: a step halved away at a kink leaves a point from which the gradient still leads up.
            Such an end is called stationary only where radius |s|* - s.u (|.|* the dual norm), which a linear f would
            still rise in the ball, is lost in the rounding of f.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from sharpmin.objective import Objective
from sharpmin.progress import Progress

Status = Literal["steps", "stationary", "step_too_small", "infinite", "non_finite"]


@dataclass(frozen=True)
class L2Ball:
    """{ u in R^n : |u|_2 <= radius }."""

    radius: float

    def size(self, u: Tensor) -> float:
        """|u|_2, in float64 and safe from overflow and underflow."""
        largest = u.abs().amax()
        if not largest:
            return 0.0
        return largest.item() * torch.linalg.vector_norm(u / largest, dtype=torch.float64).item()

    def rise(self, slope: Tensor) -> float:
        """The most that a linear f rises in the ball: radius |slope|_2."""
        return self.radius * self.size(slope)

    def steepest(self, slope: Tensor) -> Tensor:
        """The vector of size 1 along which a linear f rises most; the slope is not 0."""
        scaled = slope / slope.abs().amax()
        return scaled / self.size(scaled)

    def project(self, u: Tensor) -> Tensor:
        """The point of the ball nearest to u."""
        return u * min(1.0, self.radius / max(self.size(u), self.radius))

    def random(self, n: int, *, seed: int) -> Tensor:
        """A point on the sphere, uniformly distributed, [n] in float32."""
        normal = torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)
        return self.radius * self.steepest(normal)


@dataclass(frozen=True)
class LinfBall:
    """{ u in R^n : |u_i| <= radius }."""

    radius: float

    def size(self, u: Tensor) -> float:
        """max_i |u_i|."""
        return u.abs().amax().item()

    def rise(self, slope: Tensor) -> float:
        """The most that a linear f rises in the ball: radius |slope|_1."""
        return self.radius * slope.abs().sum(dtype=torch.float64).item()

    def steepest(self, slope: Tensor) -> Tensor:
        """A vector of size 1 along which a linear f rises most."""
        return slope.sign()

    def project(self, u: Tensor) -> Tensor:
        """The point of the ball nearest to u."""
        return u.clamp(-self.radius, self.radius)

    def random(self, n: int, *, seed: int) -> Tensor:
        """A point in the box, uniformly distributed, [n] in float32."""
        uniform = torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)
        return self.radius * (2 * uniform - 1)


Ball = L2Ball | LinfBall


class Point(NamedTuple):
    """A point u [n], f there and its gradient [n]."""

    u: Tensor
    loss: float
    slope: Tensor

    def rests(self) -> bool:
        """Whether the gradient is exactly 0."""
        return not bool(self.slope.any())

    def end(self) -> Status | None:
        """Why an ascent cannot go on from here; None where it can."""
        if self.loss == math.inf:
            return "infinite"
        if math.isnan(self.loss) or not bool(self.slope.isfinite().all()):
            return "non_finite"
        return "stationary" if self.rests() else None


class Around:
    """f(x + T u) as a function of u; remembers the largest value met and where. NaN counts as the largest."""

    def __init__(
        self, objective: Objective, x: Tensor, scale: Tensor | float, *, task: str, expected: int, progress: Progress
    ) -> None:
        self.objective, self.x, self.scale = objective, x, scale
        self.task, self.expected, self.progress = task, expected, progress
        self.best, self.best_loss, self.evaluations = torch.zeros_like(x), -math.inf, 0

    def evaluate(self, u: Tensor) -> Point:
        """Give f(x + T u) and its gradient in u."""
        loss, gradient = self.objective.value_and_grad(self.x + u * self.scale)
        self.evaluations += 1
        if loss > self.best_loss or math.isnan(loss) or self.evaluations == 1:
            self.best, self.best_loss = u, loss
        self.report(max(self.expected, self.evaluations))
        return Point(u, loss, gradient * self.scale)

    def report(self, total: int) -> None:
        """Tell how far the search is."""
        note = f"highest loss {self.best_loss:.4f}"
        self.progress(self.task, self.evaluations, total, unit="evaluations", note=note)


class Ended(NamedTuple):
    """How an ascent ended, and after how many steps."""

    steps: int
    status: Status


def ascend(evaluate: Callable[[Tensor], Point], ball: Ball, here: Point, *, steps: int, step: float) -> Ended:
    """Climb from `here`; the points met are those that `evaluate` was asked for.

    Args:
        evaluate: u [n] -> f there, with its gradient.
        ball: where to stay.
        here: the start, evaluated.
        steps: how many to take at most; each costs one evaluation.
        step: length a of the first, in the ball's norm.

    Returns:
        How it ended.

    Example:
        >>> g = torch.tensor([3.0, 4.0])
        >>> def linear(u):
        ...     return Point(u, (g @ u).item(), g)
        >>> ascend(linear, L2Ball(1.0), linear(torch.zeros(2)), steps=5, step=2.0)
        Ended(steps=1, status='stationary')

    """
    longest = step
    for taken in range(steps):
        if status := here.end():
            return Ended(taken, status)
        trial = ball.project(here.u + step * ball.steepest(here.slope))
        if ball.size(trial - here.u) <= 8 * torch.finfo(trial.dtype).eps * ball.radius:
            return Ended(taken, "stationary" if highest(ball, here) else "step_too_small")
        there = evaluate(trial)
        if there.loss <= here.loss:
            step /= 2
        else:  # also where the loss is NaN, which ends the ascent
            here, step = there, min(2 * step, longest)
    return Ended(steps, here.end() or "steps")


def highest(ball: Ball, here: Point) -> bool:
    """Whether a linear f with the value and gradient of this point is nowhere in the ball higher by more than rounding.

    Example:
        >>> g = torch.tensor([3.0, 4.0])
        >>> [highest(L2Ball(1.0), Point(u, 0.0, g)) for u in (g / 5, torch.tensor([0.0, 1.0]))]
        [True, False]

    """
    largest = here.slope.abs().amax().item()
    slope = here.slope / largest  # so that no product overflows
    most, reached = ball.rise(slope), (slope * here.u).sum(dtype=torch.float64).item()
    return most - reached <= 8 * torch.finfo(slope.dtype).eps * max(most, abs(here.loss) / largest)


def climb(around: Around, ball: Ball, centre: Point, *, at_random: bool, steps: int, step: float, seed: int) -> Ended:
    """Ascend from the centre, or from a random point of the ball; what was found is in `around`."""
    if not math.isfinite(centre.loss):
        return Ended(0, "non_finite")
    here = around.evaluate(ball.random(len(centre.u), seed=seed).to(centre.u)) if at_random else centre
    return ascend(around.evaluate, ball, here, steps=steps, step=step)
