"""L-BFGS-B against closed forms, against SciPy, and against what it promises."""

import math
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sharpmin.errors import UsageError
from sharpmin.optim import lbfgsb
from sharpmin.optim.lbfgsb import Status

Objective = Callable[[Tensor], tuple[Tensor, Tensor]]
F64 = torch.float64


def random(n: int, seed: int, *, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=F64)


def quadratic(diagonal: Tensor, centre: Tensor, low_rank: Tensor | None = None) -> Objective:
    """(x - c)^T diag(h) (x - c) / 2 + |K^T x|^2 / 2."""

    def fun(x: Tensor) -> tuple[Tensor, Tensor]:
        away = x - centre
        value, gradient = (diagonal * away**2).sum() / 2, diagonal * away
        if low_rank is None:
            return value, gradient
        inner = low_rank.T @ x
        return value + (inner**2).sum() / 2, gradient + low_rank @ inner

    return fun


def rosenbrock(x: Tensor) -> tuple[Tensor, Tensor]:
    valley, left = x[1:] - x[:-1] ** 2, 1 - x[:-1]
    gradient = torch.zeros_like(x)
    gradient[1:] += 200 * valley
    gradient[:-1] -= 400 * valley * x[:-1] + 2 * left
    return (100 * valley**2 + left**2).sum(), gradient


def logistic(features: Tensor, labels: Tensor, decay: float) -> Objective:
    def fun(x: Tensor) -> tuple[Tensor, Tensor]:
        margin = labels * (features @ x)
        value = torch.nn.functional.softplus(-margin).mean() + decay / 2 * x @ x
        return value, -features.T @ (labels * torch.sigmoid(-margin)) / len(labels) + decay * x

    return fun


@dataclass(frozen=True)
class Problem:
    """An objective, a start and a box; `ends_alike` is how closely the end points should agree."""

    name: str
    fun: Objective
    x0: Tensor
    lower: Tensor | float | None
    upper: Tensor | float | None
    ends_alike: float = 1e-5

    def bounds_for_scipy(self) -> list[tuple[float, float]] | None:
        if self.lower is None and self.upper is None:
            return None
        like = torch.zeros_like(self.x0)
        lower = like + (-math.inf if self.lower is None else self.lower)
        upper = like + (math.inf if self.upper is None else self.upper)
        return list(zip(lower.tolist(), upper.tolist(), strict=True))


def problems() -> list[Problem]:
    n = 60
    h, c, k = random(n, 0).abs() * 5 + 0.1, random(n, 1, scale=2), random(4 * n, 2).reshape(n, 4)
    low, high = -random(n, 3).abs() - 0.01, random(n, 4).abs() + 0.01
    x0 = low + (high - low) * 0.3
    one_sided = torch.where(torch.arange(n) % 2 == 0, low, -torch.inf)
    other_side = torch.where(torch.arange(n) % 3 == 0, high, torch.inf)
    fixed_high = torch.where(torch.arange(n) % 4 == 0, low, high)
    features, labels = random(200 * n, 5).reshape(200, n), random(200, 6).sign()
    bowl, saddle = quadratic(h, c, k), quadratic(h - 3, c, k)
    odds, zeros = logistic(features, labels, 1e-3), torch.zeros(n, dtype=F64)
    valley = torch.full((20,), -1.2, dtype=F64)
    return [
        Problem("convex quadratic, no bounds", bowl, x0, None, None),
        Problem("convex quadratic, box", bowl, x0, low, high),
        Problem("convex quadratic, many active", quadratic(h, 50 * c, k), x0, low, high),
        Problem("convex quadratic, one-sided", bowl, x0, one_sided, other_side),
        Problem("convex quadratic, lower only", bowl, x0, low, None),
        Problem("convex quadratic, upper only, scalar", bowl, -x0.abs(), None, 0.25),
        Problem("convex quadratic, some fixed", bowl, x0, low, fixed_high),
        Problem("non-convex quadratic, box", saddle, x0, low, high),
        Problem("Rosenbrock, no bounds", rosenbrock, valley, None, None),
        Problem("Rosenbrock, box", rosenbrock, valley + random(20, 7, scale=0.1), -2.0, 0.5),
        Problem("Rosenbrock, half", rosenbrock, random(20, 8), -2.0, None),
        Problem("logistic regression, box", odds, zeros, -0.1, 0.15),
        Problem("logistic regression, no bounds", odds, random(n, 9, scale=0.1), None, None),
    ]


PROBLEMS = pytest.mark.parametrize("problem", problems(), ids=lambda problem: problem.name)


def run_ours(problem: Problem, **options) -> tuple[lbfgsb.Result, list[Tensor]]:
    seen: list[Tensor] = []
    result = lbfgsb.minimize(
        problem.fun,
        problem.x0,
        (problem.lower, problem.upper),
        callback=lambda iterate: seen.append(iterate.x.clone()),
        **options,
    )
    return result, seen


def run_scipy(problem: Problem, **options) -> tuple[Tensor, float, list[Tensor]]:
    seen: list[Tensor] = []

    def fun(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = problem.fun(torch.from_numpy(x))
        return float(value), gradient.numpy()

    x, value, _ = scipy.optimize.fmin_l_bfgs_b(
        fun,
        problem.x0.numpy(),
        bounds=problem.bounds_for_scipy(),
        callback=lambda x: seen.append(torch.from_numpy(x.copy())),
        **options,
    )
    return torch.from_numpy(x), value, seen


# Closed forms.


def test_separable_quadratic_ends_at_the_clipped_centre():
    h, c = random(1000, 0).abs() + 0.1, random(1000, 1, scale=2)
    result = lbfgsb.minimize(quadratic(h, c), torch.zeros(1000, dtype=F64), (-1.0, 1.5), gtol=1e-10)
    torch.testing.assert_close(result.x, c.clamp(-1.0, 1.5), rtol=0, atol=2e-6)
    assert result.fun == pytest.approx(float(quadratic(h, c)(c.clamp(-1.0, 1.5))[0]), rel=1e-14)


def test_a_round_bowl_is_solved_exactly():
    c = random(1000, 1, scale=2)
    result = lbfgsb.minimize(quadratic(torch.full_like(c, 3.0), c), torch.zeros_like(c), (-1.0, 1.5), gtol=1e-12)
    torch.testing.assert_close(result.x, c.clamp(-1.0, 1.5), rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_linear_function_ends_at_the_corner_exactly(dtype):
    g, b = random(5000, 2).to(dtype), random(5000, 3).abs().to(dtype) * 1e-3
    result = lbfgsb.minimize(lambda x: (torch.dot(g.double(), x.double()), g), torch.zeros_like(g), (-b, b))
    assert torch.equal(result.x, -b * g.sign())
    assert result.status is Status.CONVERGED_GRADIENT
    assert result.projected_gradient == 0


def test_start_outside_the_box_is_projected():
    result = lbfgsb.minimize(quadratic(torch.ones(2), torch.zeros(2)), torch.tensor([9.0, -9.0]), (1.0, 3.0))
    assert result.x.tolist() == [1.0, 1.0]


# SciPy.


@PROBLEMS
def test_ends_where_scipy_ends(problem):
    result, _ = run_ours(problem, gtol=1e-9)
    x, value, _ = run_scipy(problem, factr=0.0, pgtol=1e-9)
    assert result.fun == pytest.approx(value, rel=1e-9, abs=1e-12)
    torch.testing.assert_close(result.x, x, rtol=0, atol=problem.ends_alike)


@PROBLEMS
def test_first_ten_iterates_are_scipys(problem):
    _, ours = run_ours(problem, max_iter=10)
    *_, theirs = run_scipy(problem, factr=0.0, pgtol=0.0, maxiter=10)
    assert len(ours) - len(theirs) in (0, 1)  # where SciPy stops, ours forgets its pairs and tries once more: in vain
    theirs += theirs[-1:] * (len(ours) - len(theirs))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-6)


def test_first_ten_iterates_are_scipys_over_several_blocks():
    """From a corner of the box, so that breakpoints are passed and bounds are left and met in every iteration."""
    n = 300_000
    width, centre = random(n, 2).abs() * 0.5 + 0.1, random(n, 1)
    fun = quadratic(random(n, 0).abs() * 5 - 0.5, centre, random(2 * n, 3).reshape(n, 2) / 300)
    problem = Problem("", fun, -width * centre.sign(), -width, width)
    _, ours = run_ours(problem, max_iter=10)
    *_, theirs = run_scipy(problem, factr=0.0, pgtol=0.0, maxiter=10)
    assert len(ours) == len(theirs) == 10
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-6)


@PROBLEMS
def test_float32_gets_as_far_as_its_precision_allows(problem):
    def fun(x: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = problem.fun(x.double())
        return value, gradient.float()

    def rounded(bound):
        return bound.float() if isinstance(bound, Tensor) else bound

    single = Problem("", fun, problem.x0.float(), rounded(problem.lower), rounded(problem.upper))
    result, seen = run_ours(single, gtol=1e-5, max_iter=500)
    _, value, _ = run_scipy(problem, factr=0.0, pgtol=1e-9)
    assert result.x.dtype == result.grad.dtype == torch.float32
    assert result.fun == pytest.approx(value, rel=1e-5, abs=1e-5)
    assert all(x.isfinite().all() for x in seen)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_runs(dtype):
    def fun(x: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = quadratic(torch.linspace(0.5, 2, 3000), torch.ones(3000))(x.float())
        return value, gradient.to(dtype)

    start = torch.full((3000,), -0.5, dtype=dtype)
    result = lbfgsb.minimize(fun, start, (-0.5, 0.5), max_iter=20)
    assert result.fun < 0.3 * float(fun(start)[0])
    assert float(result.x.abs().max()) <= 0.5


# Properties.


@settings(max_examples=60, deadline=None)
@example(n=39, seed=19598, memory=9, curvature=-0.23046875)  # a step of 1e-14 lowers nothing: SciPy's search ends
@given(n=st.integers(1, 40), seed=st.integers(0, 10**6), memory=st.integers(1, 12), curvature=st.floats(-3, 3))
def test_result_is_feasible_no_worse_than_the_start_and_stationary(n, seed, memory, curvature):
    h, c, k = random(n, seed) + curvature, random(n, seed + 1, scale=3), random(2 * n, seed + 2).reshape(n, 2)
    lower = random(n, seed + 3) - 1
    upper = lower + random(n, seed + 4).abs() * (torch.arange(n) % 5 != 0)
    fun = quadratic(h, c, k)
    x0 = lower + (upper - lower) * torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=F64)
    result = lbfgsb.minimize(fun, x0, (lower, upper), memory=memory, gtol=1e-6, max_iter=2000)
    value, gradient = fun(result.x)
    residual = ((result.x - gradient).clamp(lower, upper) - result.x).abs().max()
    assert bool(((lower <= result.x) & (result.x <= upper)).all())
    assert result.fun <= float(fun(x0)[0])
    assert result.fun == float(value)
    assert torch.equal(result.grad, gradient)
    assert result.projected_gradient == pytest.approx(float(residual), abs=1e-15)
    assert residual < 1e-5
    assert result.message == lbfgsb.MESSAGES[result.status]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_best_point_evaluated_is_returned(seed):
    """On a rough objective the line search passes by points lower than those it accepts."""
    phase, values = random(30, seed), []

    def fun(x: Tensor) -> tuple[Tensor, Tensor]:
        value = (torch.cos(9 * x + phase) + x**2 / 8).sum()
        values.append(float(value))
        return value, -9 * torch.sin(9 * x + phase) + x / 4

    result = lbfgsb.minimize(fun, random(30, seed + 1), (-2.0, 2.0), max_iter=15)
    assert result.fun == min(values)
    assert result.nfev == len(values)
    assert float(fun(result.x)[0]) == result.fun


# Stopping.


BOWL = quadratic(torch.linspace(1, 50, 40, dtype=F64), random(40, 1))
ZEROS = torch.zeros(40, dtype=F64)


@pytest.mark.parametrize("limit", [0, 1, 5])
def test_stops_at_the_iteration_limit(limit):
    result = lbfgsb.minimize(BOWL, ZEROS, (-1.0, 1.0), max_iter=limit)
    assert (result.status, result.nit) == (Status.ITERATIONS, limit)
    assert result.fun <= float(BOWL(ZEROS)[0])


@pytest.mark.parametrize("limit", [1, 2, 6])
def test_never_evaluates_more_than_allowed(limit):
    result = lbfgsb.minimize(BOWL, ZEROS, (-1.0, 1.0), max_evaluations=limit)
    assert (result.status, result.nfev) == (Status.EVALUATIONS, limit)


def test_callback_sees_each_iterate_and_can_stop():
    seen = []

    def callback(iterate: lbfgsb.Iterate) -> bool:
        seen.append((iterate.nit, iterate.fun))
        return iterate.nit == 3

    result = lbfgsb.minimize(BOWL, ZEROS, callback=callback)
    assert (result.status, result.nit) == (Status.STOPPED, 3)
    assert [nit for nit, _ in seen] == [1, 2, 3]
    assert seen[-1][1] == result.fun


def test_ftol_stops_on_small_progress():
    result = lbfgsb.minimize(BOWL, ZEROS, ftol=1e-3)
    assert result.status is Status.CONVERGED_VALUE
    assert result.nit < lbfgsb.minimize(BOWL, ZEROS).nit


def test_wrong_gradient_ends_in_a_failed_line_search():
    result = lbfgsb.minimize(lambda x: ((x**2).sum(), -2 * x), torch.ones(5, dtype=F64), (-9.0, 9.0))
    assert result.status is Status.LINE_SEARCH
    assert result.fun == 5.0


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_a_value_that_is_not_finite_is_reported_with_its_point(bad):
    def fun(x: Tensor) -> tuple[Tensor, Tensor]:
        value = torch.where(x.max() > 0.5, bad, -x.sum())
        return value, -torch.ones_like(x)

    result = lbfgsb.minimize(fun, torch.zeros(3, dtype=F64), (-1.0, 1.0))
    assert result.status is Status.NON_FINITE
    assert result.non_finite_at is not None
    assert float(result.non_finite_at.max()) > 0.5
    assert result.non_finite_value == pytest.approx(bad, nan_ok=True)
    assert (result.fun, result.x.tolist()) == (0.0, [0.0, 0.0, 0.0])


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_start_that_is_not_finite_is_reported(bad):
    x0 = torch.ones(3)
    result = lbfgsb.minimize(lambda x: (bad, torch.zeros_like(x)), x0)
    assert result.status is Status.NON_FINITE
    assert torch.equal(result.non_finite_at, x0)
    assert not math.isfinite(result.fun)


@pytest.mark.parametrize("bounds", [(None, None), (-2.0, 2.0)])
@pytest.mark.parametrize("start", [0.0, 1.0])
def test_a_gradient_that_is_not_finite_is_reported(bounds, start):
    def fun(x: Tensor) -> tuple[Tensor, Tensor]:
        return (x**2).sum(), torch.where(x.abs() < 0.6, math.inf, 2 * x)

    result = lbfgsb.minimize(fun, torch.full((4,), start, dtype=F64), bounds)
    assert result.status is Status.NON_FINITE
    assert float(result.non_finite_at.abs().max()) < 0.6


def test_a_start_that_is_stationary_needs_no_step():
    result = lbfgsb.minimize(BOWL, torch.full((40,), 5.0, dtype=F64), (5.0, 5.0))
    assert (result.status, result.nit, result.nfev) == (Status.CONVERGED_GRADIENT, 0, 1)


# What it asks of and leaves to the caller.


@pytest.mark.parametrize(
    ("x0", "bounds", "options"),
    [
        (torch.zeros(2, 2), (None, None), {}),
        (torch.zeros(0), (None, None), {}),
        (torch.zeros(2, dtype=torch.int64), (None, None), {}),
        (torch.tensor([0.0, math.nan]), (None, None), {}),
        (torch.zeros(2), (1.0, 0.0), {}),
        (torch.zeros(2), (torch.zeros(3), None), {}),
        (torch.zeros(2), (None, torch.tensor([0.0, math.nan])), {}),
        (torch.zeros(2), (None, None), {"memory": 0}),
        (torch.zeros(2), (None, None), {"max_iter": -1}),
        (torch.zeros(2), (None, None), {"max_evaluations": 0}),
        (torch.zeros(2), (None, None), {"max_line_search": 0}),
        (torch.zeros(2), (None, None), {"gtol": math.nan}),
        (torch.zeros(2), (None, None), {"ftol": -1.0}),
    ],
)
def test_bad_input_is_named(x0, bounds, options):
    with pytest.raises(UsageError):
        lbfgsb.minimize(lambda x: (x.sum(), torch.ones_like(x)), x0, bounds, **options)


def test_gradient_of_another_shape_is_named():
    with pytest.raises(UsageError, match="shape"):
        lbfgsb.minimize(lambda x: (0.0, torch.zeros(3)), torch.zeros(2))


def test_the_callers_tensors_are_left_alone():
    x0, gradient = torch.full((4,), 2.0, dtype=F64), torch.empty(4, dtype=F64)
    lower = torch.zeros(4, dtype=F64)

    def fun(x: Tensor) -> tuple[float, Tensor]:
        torch.mul(x, 2.0, out=gradient)
        return float(x @ x), gradient

    result = lbfgsb.minimize(fun, x0, (lower, 1.0))
    assert x0.tolist() == [2.0] * 4
    assert lower.tolist() == [0.0] * 4
    assert result.grad is not gradient
    assert result.fun == 0.0


def test_autograd_works_inside_the_objective():
    def fun(x: Tensor) -> tuple[Tensor, Tensor]:
        leaf = x.detach().requires_grad_()
        value = ((leaf - 1) ** 4).sum()
        return value, torch.autograd.grad(value, leaf)[0]

    result = lbfgsb.minimize(fun, torch.zeros(3, dtype=F64, requires_grad=True), (None, 0.5))
    assert result.x.tolist() == [0.5] * 3
    assert not result.x.requires_grad


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all storages that operators made and that are still alive, but for the caller's own."""

    def __init__(self, *callers: Tensor) -> None:
        super().__init__()
        self.alive = self.peak = 0
        self.known = {tensor.untyped_storage()._cdata for tensor in callers}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        answer = func(*args, **(kwargs or {}))
        for tensor in answer if isinstance(answer, tuple | list) else (answer,):
            if isinstance(tensor, Tensor):
                self._watch(tensor.untyped_storage())
        return answer

    def _watch(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self.known or not size:
            return
        self.known.add(key)
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.alive -= size


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_memory_is_at_most_2m_plus_12_vectors(dtype):
    """Scratch of a fixed size is in the count too, so n is large; the line search has to backtrack here."""
    n, memory = 3_000_000, 2
    x0, lower = torch.linspace(-1.0, 1.0, n, dtype=dtype), torch.full((n,), -1.0, dtype=dtype)
    gradient, scratch = torch.empty_like(x0), torch.empty_like(x0)
    stiffness = torch.linspace(1.0, 30.0, n, dtype=dtype)

    def fun(x: Tensor) -> tuple[float, Tensor]:
        torch.mul(x, 7.0, out=scratch)
        torch.mul(torch.sin(scratch, out=gradient), stiffness, out=gradient).mul_(-7.0)
        return float(torch.dot(scratch.cos_(), stiffness)), gradient

    with LiveBytes(x0, lower, gradient, scratch, stiffness) as live:
        result = lbfgsb.minimize(fun, x0, (lower, 1.0), memory=memory, max_iter=4)
    assert result.nfev > result.nit + 1
    vectors = live.peak / (n * x0.element_size())
    assert 2 * memory + 5 < vectors <= 2 * memory + 12
