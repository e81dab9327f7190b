"""The iteration of L-BFGS-B: from a point to the model's minimiser in the box, and along the way there.

`lbfgsb` lists the steps, the legend and the memory that they take.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from sharpmin.errors import UsageError
from sharpmin.optim.blocks import blocks, dot
from sharpmin.optim.box import Box
from sharpmin.optim.cauchy import CauchySearch, Piece
from sharpmin.optim.compact import CompactMatrix, SingularError
from sharpmin.optim.moving import MovingSet, Point
from sharpmin.optim.outcome import MESSAGES, Function, Iterate, Limits, Result, Status
from sharpmin.optim.subspace import Aim, Step, subspace_step
from sharpmin.optim.wolfe import LineSearch

EPS = torch.finfo(torch.float64).eps


class Stop(Exception):
    """Ends the iteration, from however deep."""

    def __init__(self, status: Status) -> None:
        super().__init__(status)
        self.status = status


class Descent:
    """The vectors and counters of one run.

    `now` is the iterate, `new` the trial. `z` is a further vector for points: it holds the breakpoints t,
    then over them the point aimed at, which a full step hands to `new`. Other steps need `spare` for the
    trial.
    """

    def __init__(self, fun: Function, x: Tensor, box: Box, memory: int, limits: Limits) -> None:
        self.fun, self.box, self.limits = fun, box, limits
        self.now, self.new = Point(x, torch.empty_like(x)), Point(x, torch.empty_like(x))
        self.z = torch.empty_like(x)
        self.spare: Tensor | None = None
        self.passed: Point | None = None
        self.B = CompactMatrix(x, memory)
        self.moving = MovingSet(self.B, box)
        self.bounded, self.boxed = box.bounded, box.boxed
        self.nit = self.nfev = 0
        self.non_finite: tuple[Tensor, float] | None = None

    def run(self) -> Result:
        """Iterate until something says stop."""
        try:
            self._start()
            while True:
                self._iterate()
        except Stop as stop:
            return self._result(stop.status)

    def _start(self) -> None:
        self._evaluate(self.now, towards=self.now.x)
        if not bool(self.now.g.isfinite().all()):
            self._stop_non_finite(self.now)
        if self.now.pg <= self.limits.gtol:
            raise Stop(Status.CONVERGED_GRADIENT)
        self._set_out(pair=False)

    def _iterate(self) -> None:
        """Take one step, forgetting the pairs and trying again where they mislead."""
        if self.nit >= self.limits.max_iter:
            raise Stop(Status.ITERATIONS)
        while True:
            try:
                slope = self._aim()
                new_slope = self._search(slope) if slope < 0 else None
            except SingularError:
                new_slope = None
            if new_slope is not None:
                return self._accept(curved=new_slope - slope > -EPS * slope)
            if not self.B.order:
                raise Stop(Status.LINE_SEARCH)
            self.B.forget()
            self._set_out(pair=False)

    def _accept(self, *, curved: bool) -> None:
        """Make the trial the iterate, test for the end, and set out for the next one."""
        self.now, self.new = self.new, self.now
        if self.now.x is self.z:
            self.z = self.new.x
        else:
            self.z, self.spare = self.new.x, self.z
        self.nit += 1
        old = self.new.f
        misled = self.now.f >= old and bool(self.B.order)
        self._test_convergence(old, misled=misled)
        if misled:
            self.B.forget()
        self._set_out(pair=curved and not misled)

    def _test_convergence(self, old: float, *, misled: bool) -> None:
        """Stop where the limits say so.

        A step that does not lower the value at all is no convergence yet while there are pairs: truncated at a
        bound, it can be 1e-14 of a step from a point that is far from stationary.
        """
        limits, now = self.limits, self.now
        seen = Iterate(now.x, now.f, now.pg, self.nit, self.nfev)
        stopped = limits.callback is not None and limits.callback(seen)
        if now.pg <= limits.gtol:
            raise Stop(Status.CONVERGED_GRADIENT)
        if old - now.f <= limits.ftol * max(abs(old), abs(now.f), 1.0) and not misled:
            raise Stop(Status.CONVERGED_VALUE)
        if stopped:
            raise Stop(Status.STOPPED)
        if self.nit >= limits.max_iter:
            raise Stop(Status.ITERATIONS)

    # The model: from the iterate to the point aimed at.

    def _set_out(self, *, pair: bool) -> None:
        """Write the breakpoints into z; with `pair`, add the newest pair to B."""
        self.path = self.moving.set_out(self.now, self.new, self.z, pair=pair)

    def _aim(self) -> float:
        """Replace the breakpoints in z by the point to search towards; return g^T (z - x)."""
        cauchy = self._cauchy_point()
        aim = Aim(self.now.x, self.now.g, self.z, cauchy.fixed, self.box, self.B)
        if not self.B.order:
            return aim.project(Step(cauchy.t))
        newton = subspace_step(self.B, cauchy, self.moving.gram)
        slope = aim.project(newton)
        return slope if slope <= 0 else aim.truncate(Step(cauchy.t), newton)

    def _cauchy_point(self) -> Piece:
        """Return the generalised Cauchy point; known at once where B = theta I or where there are no bounds."""
        if not self.B.order:
            return replace(self.path, t=1.0 / self.B.theta, fixed=1.0 / self.B.theta)
        if not self.bounded:
            return self.path
        return CauchySearch(self.B, self.z, self.now.g).run(self.path)

    # The line search: from the point aimed at to the next iterate.

    def _search(self, slope: float) -> float | None:
        """Leave an acceptable point in `new` and return the slope there; None if there is none to be found."""
        search = LineSearch(self.now.f, slope, self._first_step(), self._longest_step)
        for _ in range(self.limits.max_line_search):
            self.new.x = self._trial(search.step)
            new_slope = self._evaluate(self.new, towards=self.z)
            if not math.isfinite(new_slope):
                self._stop_non_finite(self.new)
            if search.accepts(self.new.f, new_slope):
                return new_slope
            self._remember(self.new)
        return None

    def _first_step(self) -> float:
        """Return 1, the model's own step; before there is a model, one no longer than 1 in norm unless boxed."""
        if self.nit or self.boxed:
            return 1.0
        norm = math.sqrt(sum(float(dot(d, d)) for d in (self.z[b] - self.now.x[b] for b in blocks(self.z))))
        return min(1.0 / norm, 1.0 if self.bounded else 1e10)

    def _longest_step(self) -> float:
        """Return the longest step along z - x that stays in the box (in the first iteration, 1)."""
        if not self.bounded or not self.nit:
            return 1.0 if self.bounded else 1e10
        x, z = self.now.x, self.z
        longest = 1e10
        for block in blocks(x):
            back = x[block] - z[block]
            steps = self.box[block].steps_to_bound(x[block], back).masked_fill_(back == 0, torch.inf)
            longest = min(longest, float(steps.amin()))
        return longest

    def _trial(self, step: float) -> Tensor:
        """Return P(x + step (z - x)); at step 1 that is z itself, bounds exact."""
        if step == 1.0:
            return self.z
        self.spare = torch.empty_like(self.z) if self.spare is None else self.spare
        for block in blocks(self.z):
            x, trial = self.now.x[block], self.spare[block]
            self.box[block].project_(torch.sub(self.z[block], x, out=trial).mul_(step).add_(x))
        return self.spare

    # Evaluations and the answer.

    def _evaluate(self, point: Point, *, towards: Tensor) -> float:
        """Set the point's value and gradient, and pg; return the slope g^T (towards - x) there, x the iterate.

        Stop where there is no finite value or no evaluation left.
        """
        if self.nfev == self.limits.max_evaluations:
            raise Stop(Status.EVALUATIONS)
        self.nfev += 1
        with torch.enable_grad():
            value, gradient = self.fun(point.x)
        if gradient.shape != point.x.shape:
            raise UsageError(
                f"fun returned a gradient of shape {tuple(gradient.shape)} for x of shape {tuple(point.x.shape)}."
            )
        point.f = float(value)
        if not math.isfinite(point.f):
            self._stop_non_finite(point)
        return self._take(point, gradient.detach(), towards)

    def _take(self, point: Point, gradient: Tensor, towards: Tensor) -> float:
        """Copy the gradient, set pg = max |P(x - g) - x|, and return the slope, in one pass."""
        slope = torch.zeros((), dtype=torch.float64, device=point.x.device)
        pg = torch.zeros((), dtype=point.x.dtype, device=point.x.device)
        for block in blocks(point.x):
            x, g = point.x[block], point.g[block].copy_(gradient[block])
            slope += dot(g, towards[block] - self.now.x[block])
            move = self.box[block].project_(x - g).sub_(x)
            least, most = move.aminmax()
            pg = torch.maximum(pg, torch.maximum(most, -least))
        point.pg = float(pg)
        return float(slope)

    def _stop_non_finite(self, point: Point) -> None:
        self.non_finite = point.x.clone(), point.f
        raise Stop(Status.NON_FINITE)

    def _remember(self, point: Point) -> None:
        """Keep a copy of a trial that the line search passes by although no point so far was lower."""
        best = min(self.now.f, self.passed.f if self.passed else math.inf)
        if point.f < best:
            self.passed = self.passed or Point(torch.empty_like(point.x), torch.empty_like(point.g))
            self.passed.x.copy_(point.x)
            self.passed.g.copy_(point.g)
            self.passed.f, self.passed.pg = point.f, point.pg

    def _result(self, status: Status) -> Result:
        best = self.passed if self.passed and self.passed.f < self.now.f else self.now
        where, value = self.non_finite or (None, None)
        return Result(best.x, best.f, best.g, best.pg, self.nit, self.nfev, status, MESSAGES[status], where, value)
