"""Metric 2.1 against closed forms, in float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sharpmin.errors import UsageError
from sharpmin.measures import sharpness
from sharpmin.measures.sharpness import still_climbing
from sharpmin.measures.subspace import BLOCK_ROWS, RandomSubspace
from sharpmin.objective import Objective

N = 6


class Weights(nn.Module):
    """A model that is nothing but its weight vector."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.w = nn.Parameter(weights.double())

    def forward(self) -> Tensor:
        return self.w


def objective(formula, weights: Tensor) -> Objective:
    """f(theta) = formula(theta), as the mean over one example."""
    return Objective(Weights(weights), [None], loss=lambda model, batch: formula(model())[None])


def vector(seed: int, n: int = N) -> Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def widths(x: Tensor, epsilon: float) -> Tensor:
    return epsilon * (x.abs() + 1)


@pytest.mark.parametrize("start", ["corner", "zero"])
def test_linear(start):
    """max f - f = sum |g_i| b_i."""
    x, g = vector(1), vector(2)
    result = sharpness(objective(lambda w: g @ w + 50, x), epsilon=1e-2, start=start)
    rise = (g.abs() * widths(x, 1e-2)).sum().item()
    assert result.max_loss - result.loss == pytest.approx(rise, rel=1e-9)
    assert result.value == pytest.approx(100 * rise / (1 + result.loss), rel=1e-9)
    assert result.first_order == pytest.approx(rise, rel=1e-12)


def test_separable_quadratic():
    """With h >= 0: max f - f = sum |g_i| b_i + h_i b_i^2 / 2, at the corner."""
    x, g, h = vector(1), vector(2), vector(3).abs()
    result = sharpness(objective(lambda w: g @ (w - x) + 0.5 * h @ (w - x) ** 2, x), epsilon=0.5)
    b = widths(x, 0.5)
    assert result.max_loss == pytest.approx((g.abs() @ b + 0.5 * h @ b**2).item(), rel=1e-12)
    torch.testing.assert_close(result.displacement, b * g.sign())


def test_exact_minimiser_is_not_flat():
    """At the exact minimum of (v.w)^2 / 2 the gradient is 0; the maximum is (sum |v_i| b_i)^2 / 2."""
    x, v = torch.zeros(N, dtype=torch.float64), vector(2)
    result = sharpness(objective(lambda w: 0.5 * (v @ w) ** 2, x), epsilon=0.1)
    assert result.max_loss == pytest.approx(0.5 * (0.1 * v.abs().sum().item()) ** 2, rel=1e-9)


@pytest.mark.parametrize("start", ["corner", "zero"])
def test_scipys_search_finds_the_same(start):
    x, m = vector(5), vector(6, N * N).view(N, N)
    f = objective(lambda w: torch.logsumexp(m @ w, 0), x)
    ours, theirs = (sharpness(f, epsilon=0.3, start=start, solver=solver) for solver in ("sharpmin", "scipy"))
    assert (theirs.solver, theirs.start) == ("scipy", start)
    assert ours.value == pytest.approx(theirs.value, rel=1e-9)


def test_infinity_ends_scipys_search_too():
    x = torch.full((N,), 0.5, dtype=torch.float64)
    far = sharpness(objective(lambda w: w.sum().where(w.sum() < 3.001, math.inf), x), epsilon=0.5, solver="scipy")
    assert (far.value, far.status) == (math.inf, "non_finite")
    assert x.sum() + far.displacement.sum() >= 3.001


@pytest.mark.parametrize("solver", ["sharpmin", "scipy"])
def test_the_climb_has_the_start_and_every_iteration(solver):
    """With a limit of k iterations it is the beginning of that with more, and it ends at the largest loss."""
    x, m = vector(5), vector(6, N * N).view(N, N)
    f = objective(lambda w: torch.logsumexp(m @ w, 0), x)
    few, more = (sharpness(f, epsilon=0.3, start="zero", solver=solver, iterations=k) for k in (2, 3))
    assert (few.iterations, few.status, len(few.climb)) == (2, "iterations", 3)
    assert few.climb == more.climb[:3]
    assert few.climb[0] == few.loss < few.climb[1] < few.climb[2] == few.max_loss < more.max_loss


def test_a_search_cut_off_on_the_climb_says_so():
    """From the flat middle of a bowl that rises like the fourth power, and on a slope whose corner is the maximum."""
    bowl, slope = (objective(f, torch.zeros(N)) for f in (lambda w: (w**4 + 1e-9 * w).sum(), lambda w: w.sum()))
    cut = sharpness(bowl, epsilon=1.0, start="zero", iterations=1)
    whole = sharpness(bowl, epsilon=1.0, start="zero", iterations=40)
    assert cut.still_climbing
    assert cut.max_loss < 1e-3 * whole.max_loss
    assert not whole.still_climbing
    assert not sharpness(slope).still_climbing


def test_a_row_of_before_knows_nothing_of_the_climb():
    assert not still_climbing("iterations", (), 1.0)
    assert not still_climbing("iterations", (2.0,), 1.0)
    assert still_climbing("iterations", (1.0, 1.2, 1.5, 1.55, 1.62), 1.0)
    assert not still_climbing("iterations", (1.0, 1.2, 1.5, 1.6, 1.605), 1.0)
    assert not still_climbing("converged_gradient", (1.0, 3.0), 1.0)


def test_progress_ends_with_the_evaluations_made():
    told = []
    f = objective(lambda w: (w**4).sum(), vector(1))
    result = sharpness(f, progress=lambda task, done, total, **_: told.append((done, total)))
    assert told[0] == (1, 12)
    assert told[-1] == (result.evaluations, result.evaluations)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), epsilon=st.floats(1e-4, 1.0))
def test_feasible_and_monotone_in_epsilon(seed, epsilon):
    x, m = vector(seed), vector(seed + 1, N * N).view(N, N)
    f = objective(lambda w: 0.5 * w @ (m @ m.T) @ w, x)
    small, large = sharpness(f, epsilon=epsilon), sharpness(f, epsilon=2 * epsilon)
    assert (small.displacement.abs() <= widths(x, epsilon) * (1 + 1e-12)).all()
    assert 0 <= small.value <= large.value * (1 + 1e-9)


def test_the_displacement_reaches_the_maximum():
    x, m = vector(5), vector(6, N * N).view(N, N)
    f = objective(lambda w: torch.logsumexp(m @ w, 0), x)
    result = sharpness(f, epsilon=0.3)
    assert f.value(x + result.displacement) == result.max_loss


def test_full_space_equals_an_orthogonal_subspace_of_all_dimensions(monkeypatch):
    """With p = n and A = I the box and the maximum are those of the full space."""
    x, g = vector(1), vector(2)
    f = objective(lambda w: (g @ w).exp(), x)
    monkeypatch.setattr(RandomSubspace, "_draw", lambda self, start: torch.eye(N, dtype=torch.float64))
    assert sharpness(f, subspace=N).value == pytest.approx(sharpness(f).value, rel=1e-12)


@pytest.mark.parametrize("budget", [0, 2**30])
def test_subspace_against_a_dense_pseudo_inverse(budget):
    n, p = BLOCK_ROWS + 1000, 5  # two blocks
    x = vector(1, n)
    span = RandomSubspace(n, p, seed=3, like=x, budget=budget)
    dense = torch.stack([span.apply(column) for column in torch.eye(p, dtype=torch.float64)], 1)
    assert abs(dense.mean().item()) < 0.01
    assert dense.std().item() == pytest.approx(1, abs=0.01)
    torch.testing.assert_close(span.coordinates(x), torch.linalg.pinv(dense) @ x)
    torch.testing.assert_close(span.transposed(x), dense.T @ x)


def test_subspace_is_a_matter_of_its_seed():
    f = objective(lambda w: (w**4).sum(), vector(1, 40))
    values = [sharpness(f, subspace=3, seed=seed).value for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]


def test_infinite_inside_the_box_is_infinite_sharpness():
    x = torch.full((N,), 0.5, dtype=torch.float64)
    far = sharpness(objective(lambda w: w.sum().where(w.sum() < 3.001, math.inf), x), epsilon=0.5)
    assert far.value == math.inf
    assert x.sum() + far.displacement.sum() >= 3.001


@pytest.mark.parametrize("solver", ["sharpmin", "scipy"])
@pytest.mark.parametrize("start", ["corner", "zero"])
def test_nan_in_the_box_is_nan_not_the_largest_before(solver, start):
    result = sharpness(
        objective(lambda w: (1e-4 - w).sum().sqrt() + 100 * w.sum(), torch.zeros(1)), solver=solver, start=start
    )
    assert math.isnan(result.value)
    assert (result.status, result.loss) == ("non_finite", pytest.approx(0.01))


@pytest.mark.parametrize("loss", [-1.0, -2.0])
def test_the_metric_is_for_losses_above_minus_one(loss):
    with pytest.raises(UsageError, match=f"f\\(x\\) is {loss:g}, and Metric 2.1 divides by 1 \\+ f"):
        sharpness(objective(lambda w: w.sum() + loss, torch.zeros(2)))


def test_not_finite_at_theta_is_nan_not_zero():
    result = sharpness(objective(lambda w: w.sum() * math.nan, vector(1)))
    assert math.isnan(result.value)
    assert result.status == "non_finite"


@pytest.mark.parametrize(
    "bad",
    [
        {"epsilon": 0},
        {"epsilon": -1e-3},
        {"epsilon": math.nan},
        {"subspace": N + 1},
        {"iterations": 0},
        {"start": "random"},
        {"solver": "adam"},
        {"theta": torch.zeros(N + 1)},
    ],
)
def test_bad_arguments(bad):
    with pytest.raises(UsageError):
        sharpness(objective(lambda w: w.sum(), vector(1)), **bad)
