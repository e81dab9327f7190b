"""The iteration of L-BFGS-B: from a point to the model's minimiser in the box, and along the way there.

`lbfgsb` lists the steps, the legend and the memory that they take.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sharpmin.errors import UsageError
from sharpmin.optim.blocks import BLOCK, blocks, dot, positive, products
from sharpmin.optim.box import Box
from sharpmin.optim.cauchy import CauchySearch, Piece
from sharpmin.optim.compact import CompactMatrix, SingularError
from sharpmin.optim.outcome import MESSAGES, Iterate, Limits, Objective, Result, Status
from sharpmin.optim.subspace import Aim, FreeSet, Step, subspace_step
from sharpmin.optim.wolfe import LineSearch

EPS = torch.finfo(torch.float64).eps


class Stop(Exception):
    """Ends the iteration, from however deep."""

    def __init__(self, status: Status) -> None:
        super().__init__(status)
        self.status = status


@dataclass
class Point:
    """A point with its value, gradient and projected gradient norm; its vectors are reused."""

    x: Tensor
    g: Tensor
    f: float = math.inf
    pg: float = math.nan


class Descent:
    """The vectors and counters of one run.

    `now` is the iterate, `new` the trial. `z` is a further vector for points: it holds the breakpoints t,
    then over them the point aimed at, which a full step hands to `new`. Other steps need `spare` for the
    trial.
    """

    def __init__(self, fun: Objective, x: Tensor, box: Box, memory: int, limits: Limits) -> None:
        self.fun, self.box, self.limits = fun, box, limits
        self.now, self.new = Point(x, torch.empty_like(x)), Point(x, torch.empty_like(x))
        self.z = torch.empty_like(x)
        self.spare: Tensor | None = None
        self.passed: Point | None = None
        self.B, self.free = CompactMatrix(x, memory), FreeSet(x, memory)
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
        self._evaluate(self.now)
        if not bool(self.now.g.isfinite().all()):
            self._stop_non_finite(self.now)
        self._slope_and_pg(self.now, towards=self.now.x)
        if self.now.pg <= self.limits.gtol:
            raise Stop(Status.CONVERGED_GRADIENT)
        self._set_out(update=False)

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
            self._set_out(update=False)

    def _accept(self, *, curved: bool) -> None:
        """Make the trial the iterate, test for the end, and set out for the next one."""
        self.now, self.new = self.new, self.now
        if self.now.x is self.z:
            self.z = self.new.x
        else:
            self.z, self.spare = self.new.x, self.z
        self.nit += 1
        self._test_convergence(self.new.f)
        self._set_out(update=curved)

    def _test_convergence(self, old: float) -> None:
        limits, now = self.limits, self.now
        seen = Iterate(now.x, now.f, now.pg, self.nit, self.nfev)
        stopped = limits.callback is not None and limits.callback(seen)
        if now.pg <= limits.gtol:
            raise Stop(Status.CONVERGED_GRADIENT)
        if old - now.f <= limits.ftol * max(abs(old), abs(now.f), 1.0):
            raise Stop(Status.CONVERGED_VALUE)
        if stopped:
            raise Stop(Status.STOPPED)
        if self.nit >= limits.max_iter:
            raise Stop(Status.ITERATIONS)

    # The model: from the iterate to the point aimed at.

    def _set_out(self, *, update: bool) -> None:
        """Write the breakpoints into z, and form p = W^T d and d^T d; with `update`, add the newest pair to B.

        The one pass over all stored vectors that needs inner products: those of d, and of the new s and y,
        both over all variables and over the free ones.
        """
        slot = self.B.open_slot() if update else None
        rows = torch.empty((5, min(BLOCK, len(self.z))), dtype=self.z.dtype, device=self.z.device)
        inner = torch.zeros((5, len(self.B.used)), dtype=torch.float64, device=self.z.device)
        dd = inner.new_zeros(())
        for block in blocks(self.z):
            right = rows[: 1 if slot is None else 5, : block.stop - block.start]
            if slot is not None:
                self._new_pair(slot, block, right[1:])
            self._minus_d(block, out=right[0])
            dd += products(right[:1], right[:1])[0, 0]
            if self.B.order:
                inner[: len(right)] += products(right, self.B.used[:, block])
        inner = inner.cpu()
        if slot is not None:
            self.B.record(slot, inner[1:3])
            self.free.record(slot, inner[3:5])
        self.p, self.dd = self.B.in_order(-inner[0]), float(dd)

    def _minus_d(self, block: slice, out: Tensor) -> None:
        """Write one block of the breakpoints to z, and to `out` g on the variables that move along -g, else 0."""
        x, g, t = self.now.x[block], self.now.g[block], self.z[block]
        t.copy_(self.box[block].steps_to_bound(x, g))
        positive(t, out=out).mul_(g)

    def _new_pair(self, slot: int, block: slice, right: Tensor) -> None:
        """Store one block of y = g' - g and s = x' - x; copy both to `right`, whole and on the free variables."""
        y, s = self.B.vectors[2 * slot, block], self.B.vectors[2 * slot + 1, block]
        right[0].copy_(torch.sub(self.now.g[block], self.new.g[block], out=y))
        right[1].copy_(torch.sub(self.now.x[block], self.new.x[block], out=s))
        torch.mul(right[:2], self.free.mask[block], out=right[2:])

    def _aim(self) -> float:
        """Replace the breakpoints in z by the point to search towards; return g^T (z - x)."""
        cauchy = self._cauchy_point()
        self.free.update(self.z, cauchy.fixed, self.B)
        aim = Aim(self.now.x, self.now.g, self.z, self.free.mask, self.box, self.B)
        if not self.B.order:
            return aim.project(Step(cauchy.t))
        newton = subspace_step(self.B, cauchy, self.free)
        slope = aim.project(newton)
        return slope if slope <= 0 else aim.truncate(Step(cauchy.t), newton)

    def _cauchy_point(self) -> Piece:
        """Return the generalised Cauchy point; known at once where B = theta I or where there are no bounds."""
        nowhere = torch.zeros_like(self.p)
        if not self.B.order:
            return Piece(1.0 / self.B.theta, self.dd, self.p, nowhere, fixed=1.0 / self.B.theta)
        if not self.bounded:
            return Piece(0.0, self.dd, self.p, nowhere)
        return CauchySearch(self.B, self.z, self.now.g).run(self.p, self.dd)

    # The line search: from the point aimed at to the next iterate.

    def _search(self, slope: float) -> float | None:
        """Leave an acceptable point in `new` and return the slope there; None if there is none to be found."""
        search = LineSearch(self.now.f, slope, self._first_step(), self._longest_step)
        for _ in range(self.limits.max_line_search):
            self.new.x = self._trial(search.step)
            self._evaluate(self.new)
            new_slope = self._slope_and_pg(self.new, towards=self.z)
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

    def _evaluate(self, point: Point) -> None:
        """Set the point's value and gradient; stop where there is no finite value or no evaluation left."""
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
        point.g.copy_(gradient.detach())
        if not math.isfinite(point.f):
            self._stop_non_finite(point)

    def _stop_non_finite(self, point: Point) -> None:
        self.non_finite = point.x.clone(), point.f
        raise Stop(Status.NON_FINITE)

    def _slope_and_pg(self, point: Point, *, towards: Tensor) -> float:
        """Return g^T (towards - x), and set the point's pg = max |P(x - g) - x|, in one pass."""
        slope = torch.zeros((), dtype=torch.float64, device=point.x.device)
        pg = torch.zeros((), dtype=point.x.dtype, device=point.x.device)
        for block in blocks(point.x):
            x, g = point.x[block], point.g[block]
            slope += dot(g, towards[block] - self.now.x[block])
            move = self.box[block].project_(x - g).sub_(x)
            least, most = move.aminmax()
            pg = torch.maximum(pg, torch.maximum(most, -least))
        point.pg = float(pg)
        return float(slope)

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
