"""The worst cases in a neighbourhood, against closed forms, dense eigenvalues and plain PyTorch."""

import itertools
import math
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from cases import F64, examples, random, same_bits, shallow, softmax_regression
from measures.formulas import network, objective, quadratic, rescaled, trained
from sharpmin.errors import UsageError
from sharpmin.measures import sharpness
from sharpmin.measures.average_case import gaussian_sharpness
from sharpmin.measures.worst_case import adaptive_sharpness, l2_sharpness, linf_sharpness
from sharpmin.objective import Objective

N = 6
DOCS = Path(__file__).parents[2] / "docs" / "worst-case.md"
MEASURES = {"l2": (l2_sharpness, "rho"), "adaptive": (adaptive_sharpness, "rho"), "linf": (linf_sharpness, "epsilon")}
every = pytest.mark.parametrize("name", MEASURES)


def measured(name, f, radius, **options):
    measure, option = MEASURES[name]
    return measure(f, **{option: radius}, **options)


def size(name, result, x):
    """The size of the displacement in the norm of the neighbourhood, in numpy."""
    y, x = result.displacement.double().numpy(), x.double().numpy()
    return np.linalg.norm(y / np.abs(x) if name == "adaptive" else y, np.inf if name == "linf" else 2)


def positive(seed, n=N):
    m = random(n, n, seed=seed)
    return m @ m.T / n


def largest_in_ball(g, hessian, rho):
    """max g.y + y.H y / 2 over |y|_2 <= rho: (mu - H) y = g, mu >= 0 and >= the top eigenvalue, mu = 0 or |y| = rho.

    These are necessary and sufficient (More and Sorensen 1983). That g is orthogonal to the top eigenvector, where they
    would have to be solved otherwise, does not happen at random.
    """
    values, vectors = np.linalg.eigh(hessian.numpy())
    c = vectors.T @ g.numpy()
    least = max(values[-1], 0)
    if least or np.linalg.norm(c / values) > rho:
        low, high = least * (1 + 1e-14), least + np.linalg.norm(c) / rho
        mu = brentq(lambda mu: np.linalg.norm(c / (mu - values)) - rho, low, high, xtol=1e-300, rtol=1e-15)
    else:
        mu = 0
    y = c / (mu - values)
    return c @ y + values @ y**2 / 2


@every
@pytest.mark.parametrize("steps", [1, 5])
def test_linear(name, steps):
    """The rise is rho |g|_2, rho |x g|_2, epsilon |g|_1, and curvature there is none."""
    x, g = random(N, seed=1), random(N, seed=2)
    rise = {"l2": g.norm(), "adaptive": (x * g).norm(), "linf": g.abs().sum()}[name].item()
    result = measured(name, objective(lambda w: g @ (w - x), x), 0.1, steps=steps)
    assert result.loss == 0
    assert result.value == result.max_loss == pytest.approx(0.1 * rise, rel=1e-14)
    assert result.first_order == pytest.approx(0.1 * rise, rel=1e-14)
    assert size(name, result, x) == pytest.approx(0.1, rel=1e-14)
    assert result.norm == pytest.approx(0.1, rel=1e-14)
    assert (result.start, result.steps, result.evaluations) == ("theta", 1, 2)
    assert result.status == ("steps" if steps == 1 else "stationary")


def test_the_displacement_of_asam():
    """y = rho T^2 g / |T g| with T = diag(|x| + eta): equation by equation in numpy."""
    x, g = random(N, seed=1), random(N, seed=2)
    result = adaptive_sharpness(objective(lambda w: g @ (w - x), x), rho=0.3, eta=0.01)
    t = np.abs(x.numpy()) + 0.01
    want = 0.3 * t**2 * g.numpy() / np.linalg.norm(t * g.numpy())
    np.testing.assert_allclose(result.displacement.numpy(), want, rtol=1e-13)
    assert (result.eta, result.radius) == (0.01, 0.3)


def test_one_step_on_a_network_whose_gradient_is_known():
    """Softmax regression in numpy: f(x + rho g / |g|) - f(x)."""
    problem = softmax_regression()
    f = Objective(problem.model, problem.data)
    gradient = problem.gradient(f.theta)
    top = f.theta + torch.from_numpy(0.05 * gradient / np.linalg.norm(gradient))
    result = l2_sharpness(f)
    assert result.value == pytest.approx(problem.value(top) - problem.value(f.theta), rel=1e-10)
    assert result.first_order == pytest.approx(0.05 * np.linalg.norm(gradient), rel=1e-12)


@pytest.mark.parametrize("adaptive", [False, True])
def test_one_step_against_a_plain_training_step(adaptive):
    """The first half of a step of SAM and of ASAM as anyone writes it, parameter by parameter."""
    data, model = examples(30, 4), network()
    measure = adaptive_sharpness if adaptive else l2_sharpness
    result = measure(Objective(model, data), rho=0.05)
    loss = torch.nn.functional.cross_entropy(model(data.inputs), data.targets)
    loss.backward()
    scales = [p.detach().abs() if adaptive else torch.ones_like(p) for p in model.parameters()]
    norm = sum((t * p.grad).pow(2).sum() for t, p in zip(scales, model.parameters(), strict=True)).sqrt()
    with torch.no_grad():
        for t, p in zip(scales, model.parameters(), strict=True):
            p += 0.05 * t**2 * p.grad / norm
        perturbed = torch.nn.functional.cross_entropy(model(data.inputs), data.targets)
    assert result.value == pytest.approx((perturbed - loss).item(), rel=1e-10)


def eigenvalues_over_four_orders(m, rng, signs):
    q, _ = np.linalg.qr(m)
    return q * (rng.choice(signs, 20) * 10 ** rng.uniform(-2, 2, 20)) @ q.T


HESSIANS = {
    "convex": lambda m, rng: m @ m.T / 20,
    "indefinite": lambda m, rng: (m + m.T) / 2,
    "concave": lambda m, rng: -m @ m.T / 20,
    "wide convex": lambda m, rng: eigenvalues_over_four_orders(m, rng, [1]),
    "wide indefinite": lambda m, rng: eigenvalues_over_four_orders(m, rng, [-1, 1]),
    "wide concave": lambda m, rng: eigenvalues_over_four_orders(m, rng, [-1]),
}


def random_quadratic(seed, kind):
    """f in 20 dimensions whose gradient and radius vary over orders of magnitude, and its exact largest rise."""
    rng = np.random.default_rng(seed)
    hessian = torch.from_numpy(HESSIANS[kind](rng.normal(size=(20, 20)), rng))
    g, rho = torch.from_numpy(rng.normal(size=20) * 10 ** rng.uniform(-4, 0)), 10 ** rng.uniform(-2, 1)
    return quadratic(torch.from_numpy(rng.normal(size=20)), g, hessian), rho, largest_in_ball(g, hessian, rho)


@pytest.mark.parametrize("steps", [1, 5, 20, 50, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", HESSIANS)
def test_how_near_the_maximum_an_ascent_comes(kind, steps):
    """Never above the maximum of the dense eigendecomposition; otherwise the table of docs/worst-case.md."""
    (row,) = re.findall(rf"^\| {kind} \|.*", DOCS.read_text(), re.MULTILINE)
    cell = dict(zip([1, 5, 20, 50, 200], row.split("|")[2:-1], strict=True))[steps]
    median, worst = (float(value) for value in cell.split(","))
    problems = [random_quadratic(seed, kind) for seed in range(20)]
    reached = [l2_sharpness(f, rho=rho, steps=steps).value / exact for f, rho, exact in problems]
    assert max(reached) <= 1 + 1e-9
    assert np.median(reached) == pytest.approx(median, rel=0.02, abs=0.002)
    assert min(reached) == pytest.approx(worst, rel=0.02, abs=0.002)


@pytest.mark.parametrize("rho", [0.01, 10.0])
def test_enough_steps_climb_to_the_maximum(rho):
    x, g, hessian = random(N, seed=1), random(N, seed=2), positive(3)
    result = l2_sharpness(quadratic(x, g, hessian), rho=rho, steps=200)
    assert result.value == pytest.approx(largest_in_ball(g, hessian, rho), rel=1e-9)


def test_at_a_minimum_the_l2_worst_case_is_the_top_eigenvector():
    """g = 0: rho^2 lambda_max / 2, from a random start."""
    x, hessian = random(N, seed=1), positive(2)
    values, vectors = np.linalg.eigh(hessian.numpy())
    result = l2_sharpness(quadratic(x, torch.zeros(N, dtype=F64), hessian), rho=0.1, steps=100)
    assert result.value == pytest.approx(0.1**2 * values[-1] / 2, rel=1e-10)
    assert abs(result.displacement.numpy() @ vectors[:, -1]) == pytest.approx(0.1, rel=1e-4)
    assert result.first_order == 0
    assert (result.start, result.evaluations) == ("random", 2 + result.steps)
    assert result.message.startswith("the gradient was exactly 0 at theta")


@pytest.mark.parametrize("seed", range(5))
def test_a_saddle_on_the_way_is_no_obstacle(seed):
    """An indefinite H and a tiny gradient: the ascent is within 1% of rho^2 lambda_max / 2 in 100 steps."""
    m = random(N, N, seed=seed)
    hessian = (m + m.T) / 2
    f = quadratic(random(N, seed=9), 1e-6 * random(N, seed=8), hessian)
    most = np.linalg.eigvalsh(hessian.numpy())[-1] / 2
    assert l2_sharpness(f, rho=1.0, steps=100).value == pytest.approx(most, rel=0.01)


def test_separable_quadratic_in_a_cube():
    """With h >= 0 the maximum is at the corner: sum |g_i| eps + h_i eps^2 / 2."""
    x, g, h = random(N, seed=1), random(N, seed=2), random(N, seed=3).abs()
    result = linf_sharpness(quadratic(x, g, h.diag()), epsilon=0.5)
    assert result.value == pytest.approx((g.abs().sum() * 0.5 + h.sum() * 0.125).item(), rel=1e-13)
    torch.testing.assert_close(result.displacement, 0.5 * g.sign())
    assert result.status == "stationary"


@pytest.mark.parametrize("seed", range(10))
def test_a_cube_against_all_of_its_corners(seed):
    """A convex f is largest at one of the 2^n corners: the ascent ends at one, above the linear model's rise."""
    x, g, hessian = random(N, seed=seed), 0.1 * random(N, seed=seed + 50), positive(seed + 100)
    f = quadratic(x, g, hessian)
    corners = [f.value(x + 0.5 * torch.tensor(signs, dtype=F64)) for signs in itertools.product([-1, 1], repeat=N)]
    result = linf_sharpness(f, epsilon=0.5)
    assert (result.displacement.abs() == 0.5).all()
    assert max(result.first_order, 0.4 * max(corners)) <= result.value <= max(corners)


@every
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), radius=st.floats(1e-3, 1.0), steps=st.integers(1, 8))
def test_feasible_and_monotone(name, seed, radius, steps):
    """In the neighbourhood; at least 0; more with more steps, and for a convex f with a larger radius (one step)."""
    x = random(N, seed=seed)
    m = random(N, N, seed=seed + 1)
    f = objective(lambda w: torch.logsumexp(m @ w, 0), x)
    result = measured(name, f, radius, steps=steps)
    one, larger = (measured(name, f, r, steps=1).value for r in (radius, 2 * radius))
    assert size(name, result, x) <= radius * (1 + 1e-13)
    assert 0 <= one <= result.value
    assert one <= larger
    assert f.value(x + result.displacement) == result.max_loss


@every
def test_float32(name):
    x, g = random(N, seed=1).float(), random(N, seed=2).float()
    result = measured(name, objective(lambda w: g @ (w - x), x), 0.1, steps=3)
    assert result.displacement.dtype == torch.float32
    assert result.value == pytest.approx(result.first_order, rel=1e-5)
    assert size(name, result, x) <= 0.1 * (1 + 1e-6)


@every
def test_zero_gradient_is_not_silently_zero(name):
    """f = (v.(w - x))^2 / 2 at its minimum: the maximum is half the square of what v.(w - x) can reach."""
    x, v = random(N, seed=1), random(N, seed=2)
    reach = {"l2": v.norm(), "adaptive": (x * v).norm(), "linf": v.abs().sum()}[name].item()
    result = measured(name, objective(lambda w: 0.5 * (v @ (w - x)) ** 2, x), 0.1, steps=10)
    assert result.value == pytest.approx(0.5 * (0.1 * reach) ** 2, rel=1e-6)
    assert result.start == "random"
    assert measured(name, objective(lambda w: 0.5 * (v @ (w - x)) ** 2, x), 0.1, steps=1, seed=1).value > 0


@every
def test_no_rise_is_said(name):
    """A constant, and a maximum."""
    x = random(N, seed=1)
    for formula in (lambda w: 0 * w.sum(), lambda w: -((w - x) ** 2).sum()):
        result = measured(name, objective(formula, x), 0.1, steps=3)
        assert (result.value, result.status, result.start) == (0, "no_rise", "random")
        assert not result.displacement.any()
    overshot = measured(name, objective(lambda w: -((w - x - 1e-3) ** 2).sum(), x), 0.5, steps=1)
    assert (overshot.value, overshot.status, overshot.start) == (0, "no_rise", "theta")


def test_a_step_halved_away_at_a_kink_is_not_called_a_maximum():
    """f = w1 - 10 |w0|: the ascent sticks to the ridge w0 = 0, though w1 could go up to its bound, a rise of 3 + 1."""
    f = objective(lambda w: w[1] - 10 * w[0].abs(), torch.tensor([0.3, 0.0], dtype=F64))
    result = linf_sharpness(f, epsilon=1.0, steps=200)
    assert result.status == "step_too_small"
    assert result.steps < 200
    assert result.displacement[0].item() == pytest.approx(-0.3, abs=1e-12)
    assert result.displacement[1].item() < 0.9
    assert 3 < result.value < 3.9


@every
@pytest.mark.parametrize(("dtype", "step_size"), [(torch.float32, 1e-8), (F64, 1e-18)])
def test_a_first_step_lost_in_rounding_is_said(name, dtype, step_size):
    """f = sum(w) is finite everywhere, so its rise is 0 and not NaN."""
    f = objective(lambda w: w.sum(), torch.ones(3, dtype=dtype))
    result = measured(name, f, 0.05, steps=5, step_size=step_size)
    assert (result.value, result.max_loss, result.status) == (0, 3, "step_too_small")
    assert (result.steps, result.evaluations) == (0, 1)
    assert not result.displacement.any()


@every
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_stationary_is_said_where_the_gradient_holds_the_point_at_the_bound(name, dtype):
    """A smooth f of the size of 1, whose rounding ends the ascent: |T s|* = s.y / radius there, in numpy."""
    x, m = random(N, seed=1).to(dtype), random(N, N, seed=2).to(dtype)
    result = measured(name, objective(lambda w: torch.logsumexp(m @ w, 0), x), 0.1, steps=200)
    assert result.status == "stationary"
    logits = m.double().numpy() @ (x + result.displacement).double().numpy()
    shares = np.exp(logits - logits.max())
    slope = m.double().numpy().T @ (shares / shares.sum())
    scale = np.abs(x.double().numpy()) if name == "adaptive" else 1
    dual = np.linalg.norm(scale * slope, 1 if name == "linf" else 2)
    assert slope @ result.displacement.double().numpy() == pytest.approx(0.1 * dual, rel=100 * torch.finfo(dtype).eps)


@every
def test_infinite_in_the_neighbourhood_is_infinite(name):
    x = torch.ones(N, dtype=F64)
    result = measured(name, objective(lambda w: w.sum().where(w.sum() < N + 0.01, math.inf), x), 0.5, steps=5)
    assert (result.value, result.max_loss, result.status) == (math.inf, math.inf, "infinite")
    assert result.evaluations == 2
    assert (x + result.displacement).sum() >= N + 0.01


@every
def test_nan_is_nan(name):
    x = torch.ones(N, dtype=F64)
    inside = measured(name, objective(lambda w: w.sum().where(w.sum() < N + 0.01, math.nan), x), 0.5, steps=5)
    assert math.isnan(inside.value)
    assert (x + inside.displacement).sum() >= N + 0.01
    for formula in (lambda w: w.sum() * math.nan, lambda w: w.sum() * math.inf, lambda w: (w - x).abs().sqrt().sum()):
        result = measured(name, objective(formula, x), 0.5)
        assert math.isnan(result.value)
        assert (result.status, result.evaluations) == ("non_finite", 1)


def test_weights_that_are_zero_stay_zero_unless_eta_says_otherwise():
    x, g = torch.tensor([0.0, 1.0], dtype=F64), torch.ones(2, dtype=F64)
    f = objective(lambda w: g @ w, x)
    assert adaptive_sharpness(f).displacement.tolist() == pytest.approx([0, 0.5])
    assert adaptive_sharpness(f, eta=0.1).displacement[0] > 0


def test_theta_and_step_size():
    """Another theta; and a step shorter than the radius ends inside."""
    x, g = random(N, seed=1), random(N, seed=2)
    f = objective(lambda w: g @ w, torch.zeros(N, dtype=F64))
    result = l2_sharpness(f, theta=x, rho=1.0, step_size=0.25, steps=2)
    assert result.loss == pytest.approx((g @ x).item())
    assert result.norm == pytest.approx(0.5)
    assert (result.status, result.step_size) == ("steps", 0.25)


def test_progress_is_told_every_evaluation():
    """And ends at its total, also where the search ends early."""
    told = []

    def progress(task, done, total, **more):
        told.append((task, done, total))

    l2_sharpness(quadratic(random(N), random(N, seed=1), positive(2)), steps=3, progress=progress)
    assert told[:4] == [("l2 sharpness", i + 1, 4) for i in range(4)]
    linf_sharpness(objective(lambda w: w.sum(), random(N)), progress=progress)
    assert told[-1] == ("linf sharpness", 2, 2)


@every
def test_the_model_and_the_random_state_come_back(name):
    """Also where the loss function fails in the middle."""
    calls = itertools.count()

    def failing(model, batch):
        if next(calls) == 2:
            raise RuntimeError("out of luck")
        return model(batch[0]).square().sum(1)

    model = shallow(dropout=0.5).train()
    before, state = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    f = Objective(model, examples(8, 2, 8, 8), loss=failing, batch_norm="batch")
    with pytest.raises(RuntimeError, match="out of luck"):
        measured(name, f, 0.1, steps=3)
    result = measured(name, f, 0.1, steps=3)
    assert (result.batch_norm, result.batch_size, result.precision) == ("batch", 8, "float32")
    assert same_bits(before, model.state_dict())
    assert torch.equal(state, torch.get_rng_state())
    assert model.training


@every
@pytest.mark.parametrize("bad", [{"radius": 0}, {"radius": math.nan}, {"radius": -1.0}, {"radius": math.inf}])
def test_bad_radius(name, bad):
    with pytest.raises(UsageError, match=MEASURES[name][1]):
        measured(name, objective(lambda w: w.sum(), random(N)), **bad)


@every
@pytest.mark.parametrize(
    "bad", [{"steps": 0}, {"step_size": 0}, {"step_size": math.nan}, {"theta": torch.zeros(N + 1)}]
)
def test_bad_options(name, bad):
    with pytest.raises(UsageError):
        measured(name, objective(lambda w: w.sum(), random(N)), 0.1, **bad)


@pytest.mark.parametrize("eta", [-0.1, math.nan, math.inf])
def test_bad_eta(eta):
    with pytest.raises(UsageError, match="eta"):
        adaptive_sharpness(objective(lambda w: w.sum(), random(N)), eta=eta)


@every
def test_recalibrated_statistics_are_held_or_refused(name):
    f = Objective(shallow(), examples(8, 2, 8, 8), batch_norm="recalibrate")
    with pytest.raises(UsageError, match="recalibrated"):
        measured(name, f, 0.1)
    assert measured(name, f.recalibrated(f.theta), 0.1).value > 0
    assert gaussian_sharpness(f, samples=2).batch_norm == "recalibrate"


# Dinh et al. 2017: a ReLU network is the same function when a layer is multiplied by a > 0 and the next divided by it.


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), log=st.floats(-2, 2), steps=st.sampled_from([1, 5]))
def test_adaptive_sharpness_is_invariant_to_rescaling(seed, log, steps):
    f = Objective(network(seed), examples(30, 4, seed=seed))
    base = adaptive_sharpness(f, steps=steps)
    moved = adaptive_sharpness(f, theta=rescaled(f, 10**log), steps=steps)
    assert moved.loss == pytest.approx(base.loss, rel=1e-12)
    assert moved.value == pytest.approx(base.value, rel=1e-8)
    assert moved.first_order == pytest.approx(base.first_order, rel=1e-10)


@pytest.mark.parametrize("a", [2.0**-7, 2.0**7])
def test_adaptive_sharpness_is_invariant_to_the_last_bit_for_powers_of_two(a):
    f = Objective(network(), examples(30, 4))
    assert adaptive_sharpness(f, theta=rescaled(f, a), steps=5).value == adaptive_sharpness(f, steps=5).value


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), a=st.sampled_from([0.1, 10.0]))
def test_the_worst_cases_in_fixed_balls_are_not(seed, a):
    f = Objective(network(seed), examples(30, 4, seed=seed))
    theta = rescaled(f, a)
    for name in ("l2", "linf"):
        ratio = measured(name, f, 1e-3, theta=theta, steps=5).value / measured(name, f, 1e-3, steps=5).value
        assert ratio > 2 or ratio < 0.5


@pytest.fixture(scope="module")
def minimizer():
    return trained()


def metric_2_1(f, theta):
    """The rise in the box of Metric 2.1, without its division by 1 + f."""
    result = sharpness(f, theta=theta)
    return result.max_loss - result.loss


@pytest.mark.parametrize("a", [0.1, 10.0])
def test_what_rescaling_does_at_a_minimizer(minimizer, a):
    """Not invariant: Metric 2.1 by a factor above 2, the cube by more, the sphere and the Gaussian above 10."""

    def ratio(measure):
        return measure(minimizer, theta=rescaled(minimizer, a)) / measure(minimizer, theta=minimizer.theta)

    metric = ratio(metric_2_1)
    cube = ratio(lambda f, theta: linf_sharpness(f, theta=theta).value)
    sphere = ratio(lambda f, theta: l2_sharpness(f, theta=theta, steps=20).value)
    average = ratio(lambda f, theta: gaussian_sharpness(f, theta=theta).value)
    adaptive = ratio(lambda f, theta: adaptive_sharpness(f, theta=theta, steps=20).value)
    assert 2 < metric < cube < 10 < min(sphere, average)
    assert adaptive == pytest.approx(1, rel=1e-8)


def test_eta_undoes_the_invariance(minimizer):
    values = [adaptive_sharpness(minimizer, theta=rescaled(minimizer, a), eta=0.01, steps=20).value for a in (1, 100)]
    assert values[1] > 2 * values[0]


def test_the_page_in_docs_runs_and_prints_its_table():
    """Every Python block of docs/worst-case.md, in order; the numbers it prints are those of the page, within 5%."""
    page, printed, names = DOCS.read_text(), StringIO(), {}
    with redirect_stdout(printed), torch.random.fork_rng():
        for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
            exec(block, names)
    rows = [line for line in printed.getvalue().splitlines() if line.startswith("|")]
    assert len(rows) == 7
    table = page[page.index("| | a = 1 |") :]
    for row in rows:
        label, *numbers = [cell.strip() for cell in row.strip("|").split("|")]
        said = re.search(rf"^\| {re.escape(label)} \|(.*)\|$", table, re.MULTILINE)[1].split("|")
        assert [float(n) for n in numbers] == pytest.approx([float(n) for n in said], rel=0.05), row
