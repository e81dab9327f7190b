"""Gaussian sharpness against the moments of a quadratic form in normal variables."""

import math
import statistics

import pytest
import torch

from cases import F64, examples, random, same_bits, shallow
from measures.formulas import objective, quadratic, rescaled, trained
from sharpmin.errors import UsageError
from sharpmin.measures.average_case import draws, gaussian_sharpness
from sharpmin.objective import Objective

N = 12
SIGMA = 0.1


def hessian(seed=0):
    m = random(N, N, seed=seed)
    return (m + m.T) / 2 + torch.eye(N, dtype=F64)


def test_standard_normal_draws():
    noise = torch.stack(list(draws(torch.zeros(50, dtype=F64), 400, sigma=2.0, seed=0)))
    assert noise.dtype == F64
    assert noise.mean().item() == pytest.approx(0, abs=4 * 2 / math.sqrt(20_000))
    assert noise.var().item() == pytest.approx(4, abs=4 * 4 * math.sqrt(2 / 20_000))
    assert ((noise.T @ noise / 400).fill_diagonal_(0).abs() < 5 * 4 / math.sqrt(400)).all()


def test_the_mean_of_a_quadratic_and_its_standard_error():
    """For f = g.y + y.H y / 2: mean sigma^2 tr(H) / 2, variance of a pair sigma^4 tr(H^2) / 2,

    variance of a single point sigma^2 |g|^2 + sigma^4 tr(H^2) / 2; 100 seeds of 10 pairs.
    """
    h, g, pairs = hessian(), random(N, seed=2), 10
    f = quadratic(random(N, seed=1), g, h)
    results = [gaussian_sharpness(f, sigma=SIGMA, samples=pairs, seed=seed) for seed in range(100)]
    mean = SIGMA**2 * h.trace().item() / 2
    even, odd = SIGMA**4 * (h @ h).trace().item() / 2, SIGMA**2 * g.square().sum().item()
    inside = sum(abs(r.value - mean) <= 2 * r.standard_error for r in results) / len(results)
    assert 0.84 <= inside <= 0.99  # Student's t with 9 degrees of freedom: 0.92
    average = statistics.fmean(r.value for r in results)
    assert average == pytest.approx(mean, abs=4 * math.sqrt(even / pairs / len(results)))
    assert statistics.fmean(r.standard_error**2 for r in results) == pytest.approx(even / pairs, rel=0.2)
    assert statistics.stdev(r.value for r in results) == pytest.approx(math.sqrt(even / pairs), rel=0.2)
    assert statistics.fmean(r.unpaired_error**2 for r in results) == pytest.approx((even + odd) / 2 / pairs, rel=0.2)


def test_independent_points_have_the_unpaired_error():
    """The spread of plain means of 2 m independent points, drawn here by hand."""
    h, g, points = hessian(), random(N, seed=2), 20
    noise = SIGMA * random(1000, points, N, seed=5)
    means = (noise @ g + 0.5 * (noise @ h * noise).sum(-1)).mean(1)
    one = gaussian_sharpness(quadratic(random(N, seed=1), g, h), sigma=SIGMA, samples=400)
    assert one.unpaired_error * math.sqrt(400 / (points / 2)) == pytest.approx(means.std().item(), rel=0.1)


def test_a_linear_f_does_not_rise_on_average():
    """Pairs cancel it to rounding, where single points would leave sigma |g| / sqrt(2 m)."""
    x, g = random(N, seed=1), random(N, seed=2)
    result = gaussian_sharpness(objective(lambda w: g @ (w - x), x), sigma=SIGMA)
    assert abs(result.value) < 1e-14
    assert result.standard_error < 1e-14
    assert result.unpaired_error == pytest.approx(SIGMA * g.norm().item() / math.sqrt(100), rel=0.3)


def test_at_a_minimum_pairs_cost_the_root_of_two():
    result = gaussian_sharpness(quadratic(random(N), torch.zeros(N, dtype=F64), hessian()), sigma=SIGMA)
    assert result.standard_error == pytest.approx(math.sqrt(2) * result.unpaired_error, rel=1e-10)


def test_more_samples_begin_with_the_same():
    f = quadratic(random(N, seed=1), random(N, seed=2), hessian())
    a, b, other = (gaussian_sharpness(f, samples=m, seed=s) for m, s in ((5, 0), (5, 0), (5, 1)))
    assert (a.value, a.standard_error) == (b.value, b.standard_error)
    assert a.value != other.value
    assert gaussian_sharpness(f, samples=6).max_loss >= a.max_loss
    assert (a.samples, a.evaluations, a.status) == (5, 11, "samples")
    assert f.value(f.theta + a.displacement) == a.max_loss


def test_float32():
    """The same noise as in float64, so nearly the same number."""
    wide, g, h = random(N, seed=1).float().double(), random(N, seed=2), hessian()
    double = gaussian_sharpness(quadratic(wide, g, h), sigma=SIGMA)
    single = gaussian_sharpness(quadratic(wide.float(), g.float(), h.float()), sigma=SIGMA)
    assert single.displacement.dtype == torch.float32
    assert single.value == pytest.approx(double.value, rel=1e-4)


def test_infinite_and_nan():
    x = torch.zeros(N, dtype=F64)
    for bad, status in ((math.inf, "infinite"), (math.nan, "non_finite")):
        f = objective(lambda w, bad=bad: w.sum().where(w.sum() < 0.1, bad), x)
        result = gaussian_sharpness(f, sigma=SIGMA)
        assert result.value == pytest.approx(bad, nan_ok=True)
        assert result.max_loss == pytest.approx(bad, nan_ok=True)
        assert math.isnan(result.standard_error)
        assert result.displacement.sum() >= 0.1
        assert result.status == status
        assert 1 <= result.samples < 50
        beyond = gaussian_sharpness(f, theta=x + 1)
        assert math.isnan(beyond.value)
        assert (beyond.status, beyond.evaluations, beyond.samples) == ("non_finite", 1, 0)


def test_the_model_and_the_random_state_come_back():
    model = shallow(dropout=0.5).train()
    before, state = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    result = gaussian_sharpness(Objective(model, examples(8, 2, 8, 8), batch_norm="batch"), samples=2)
    assert (result.batch_norm, result.batch_size, result.precision, result.seed) == ("batch", 8, "float32", 0)
    assert same_bits(before, model.state_dict())
    assert torch.equal(state, torch.get_rng_state())


def test_progress_is_told_every_evaluation():
    told = []
    gaussian_sharpness(
        objective(lambda w: w.sum(), random(N)),
        samples=2,
        progress=lambda task, done, total, **more: told.append((task, done, total)),
    )
    assert told == [("gaussian sharpness", i + 1, 5) for i in range(5)]


@pytest.mark.parametrize(
    "bad", [{"sigma": 0}, {"sigma": math.nan}, {"sigma": -1.0}, {"samples": 1}, {"theta": torch.zeros(N + 1)}]
)
def test_bad_arguments(bad):
    with pytest.raises(UsageError):
        gaussian_sharpness(objective(lambda w: w.sum(), random(N)), **bad)


@pytest.mark.parametrize("a", [0.1, 10.0])
def test_not_invariant_to_the_rescaling_of_dinh(a):
    """By far more than its standard errors."""
    f = trained()
    base, moved = gaussian_sharpness(f, samples=20), gaussian_sharpness(f, theta=rescaled(f, a), samples=20)
    assert moved.loss == pytest.approx(base.loss, rel=1e-10)
    assert moved.value - base.value > 5 * (moved.standard_error + base.standard_error)
    assert moved.value > 10 * base.value
