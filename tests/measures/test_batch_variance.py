"""The estimates against enumeration, against batches really left out, and against their own spread."""

import itertools
import math

import numpy as np
import pytest
import torch

from cases import random
from sharpmin.measures.batch_variance import Spread, estimate

INF = math.inf


def spread(gradients, sizes):
    """Of batches of these sizes, cut one after the other from per-example gradients [n, k]."""
    batches = np.split(np.asarray(gradients)[: sum(sizes)], np.cumsum(sizes)[:-1])
    b, totals = np.array(sizes, float), np.stack([batch.sum(0) for batch in batches])
    g = totals.sum(0) / b.sum()
    d = totals - b[:, None] * g
    return Spread(torch.tensor(b), torch.tensor((d**2).sum(1)), torch.tensor(d @ g), float(g @ g))


def whole(gradients):
    """|mean|^2 and the trace of the covariance, with the divisor N - 1."""
    return float((gradients.mean(0) ** 2).sum()), float(gradients.var(0, ddof=1).sum())


@pytest.mark.parametrize("sizes", [(2, 2, 2), (1, 3, 2), (1, 1, 1, 1, 1, 1), (1, 2, 1), (1, 1, 1)])
def test_unbiased_over_all_orders_of_a_finite_set(sizes):
    x = random(6, 3, seed=1).numpy() + 0.5
    norm_squared, trace = whole(x)
    orders = [spread(x[list(order)], sizes) for order in itertools.permutations(range(6))]
    finite, infinite = ([estimate(s, population=n) for s in orders] for n in (6, INF))
    assert np.mean([e.trace.value for e in finite]) == pytest.approx(trace, rel=1e-12)
    assert np.mean([e.norm_squared.value for e in finite]) == pytest.approx(norm_squared, rel=1e-12)
    assert np.mean([e.norm_squared.value for e in infinite]) == pytest.approx(norm_squared - trace / 6, rel=1e-12)
    if sum(sizes) == 6:
        assert [e.norm_squared.value for e in finite] == pytest.approx([norm_squared] * 720, rel=1e-12)
        assert [e.norm_squared.error for e in finite] == pytest.approx([0] * 720, abs=1e-12)


@pytest.mark.parametrize("sizes", [[4] * 30, [1] * 12, [7, 1, 2, 9, 3, 3, 5, 4]])
def test_unbiased_for_a_population_of_known_covariance(sizes):
    mean, shape, rng = random(4, seed=2).numpy(), random(4, 4, seed=3).numpy(), np.random.default_rng(0)
    found = [estimate(spread(mean + rng.normal(size=(sum(sizes), 4)) @ shape, sizes)) for _ in range(400)]
    for values, true in (
        ([e.trace.value for e in found], (shape**2).sum()),
        ([e.norm_squared.value for e in found], mean @ mean),
    ):
        assert np.mean(values) == pytest.approx(true, abs=3 * np.std(values) / math.sqrt(400))


def test_batches_of_one_size_give_the_two_batch_estimates_of_the_paper():
    """McCandlish et al. 2018, appendix A.1, with |G_small|^2 averaged over the batches."""
    b, m = 5, 8
    x = random(b * m, 3, seed=4).numpy() + 0.3
    small, big = (x.reshape(m, b, 3).mean(1) ** 2).sum(1).mean(), (x.mean(0) ** 2).sum()
    found = estimate(spread(x, [b] * m))
    assert found.trace.value == pytest.approx((small - big) / (1 / b - 1 / (b * m)), rel=1e-12)
    assert found.norm_squared.value == pytest.approx((b * m * big - b * small) / (b * m - b), rel=1e-12)
    assert found.ratio.value == pytest.approx(found.trace.value / found.norm_squared.value, rel=1e-15)


def test_errors_and_bound_are_a_jackknife_over_batches_really_left_out():
    sizes, x = [4, 2, 5, 3, 4, 1], random(19, 3, seed=5).numpy() + 1
    batches = np.split(x, np.cumsum(sizes)[:-1])
    found, left = estimate(spread(x, sizes)), []
    for j in range(6):
        rest = np.concatenate(batches[:j] + batches[j + 1 :])
        left.append(estimate(spread(rest, sizes[:j] + sizes[j + 1 :])))
    for one, others in (
        (found.trace, [e.trace.value for e in left]),
        (found.norm_squared, [e.norm_squared.value for e in left]),
        (found.ratio, [e.ratio.value for e in left]),
    ):
        assert one.error == pytest.approx(math.sqrt(5 / 6 * np.sum((others - np.mean(others)) ** 2)), rel=1e-9)
    inverse = [1 / e.ratio.value for e in left]
    upper = 1 / found.ratio.value + 2 * math.sqrt(5 / 6 * np.sum((inverse - np.mean(inverse)) ** 2))
    assert found.lower_bound == pytest.approx(1 / upper, rel=1e-9)


@pytest.mark.parametrize(
    ("population", "sizes"),
    [
        (INF, [5] * 30),
        (INF, [5] * 20 + [1, 2, 20]),
        (60, [3] * 20),
        (60, [3] * 15),
        (60, [1] * 30),
        (60, [7] * 8 + [4]),
    ],
)
def test_errors_are_as_large_as_the_spread(population, sizes):
    """Over 500 samples from a population, or from a set; the jackknife is on the large side."""
    mean, shape, rng = random(5, seed=6).numpy(), random(5, 5, seed=7).numpy(), np.random.default_rng(1)
    members = mean + rng.normal(size=(60, 5)) @ shape

    def sample():
        if population == 60:
            return rng.permutation(members)
        return mean + rng.normal(size=(sum(sizes), 5)) @ shape

    found = [estimate(spread(sample(), sizes), population=population) for _ in range(500)]
    for name in ("trace", "norm_squared", "ratio"):
        values, errors = np.array([getattr(e, name) for e in found]).T
        assert 0.9 * values.std() - 1e-12 <= np.sqrt((errors**2).mean()) <= 1.25 * values.std() + 1e-12


def test_coverage_of_two_standard_errors_and_of_the_lower_bound():
    mean, shape, rng = random(5, seed=6).numpy(), random(5, 5, seed=7).numpy(), np.random.default_rng(2)
    true = (shape**2).sum() / (mean @ mean)
    found = [estimate(spread(mean + rng.normal(size=(200, 5)) @ shape, [5] * 40)) for _ in range(500)]
    assert 0.90 <= np.mean([abs(e.ratio.value - true) <= 2 * e.ratio.error for e in found]) <= 0.985
    assert 0.93 <= np.mean([e.lower_bound <= true for e in found]) <= 0.995
    assert {e.status for e in found} == {"measured"}


def test_the_lower_bound_holds_in_pure_noise():
    """With G = 0 the noise scale is infinite; half of the estimates of |G|^2 are negative."""
    rng = np.random.default_rng(3)
    found = [estimate(spread(rng.normal(size=(200, 5)), [5] * 40)) for _ in range(300)]
    noise = [e for e in found if e.status == "pure_noise"]
    assert 100 <= len(noise) <= 220
    for e in noise:
        assert e.norm_squared.value <= 0
        assert e.ratio.value == INF
        assert math.isnan(e.ratio.error)
    assert np.mean([e.status == "measured" for e in found]) < 0.1
    assert np.median([e.lower_bound for e in found]) > 30  # a multiple of n = 200 is all that can be told
    assert np.mean([math.isfinite(e.lower_bound) for e in found]) > 0.9


def statused(gradients, population=INF):
    found = estimate(spread(np.array(gradients, float), [1] * len(gradients)), population=population)
    return found.status, found.ratio.value, found.lower_bound


def test_ends_of_the_scale():
    assert statused([[1.0], [1.0], [1.0]]) == ("measured", 0, 0)
    assert statused([[1.0], [-1.0], [1.0], [-1.0]], population=4)[:2] == ("pure_noise", INF)
    assert statused([[0.0], [0.0], [0.0]])[0] == "no_gradient"
    assert math.isnan(statused([[0.0], [0.0], [0.0]])[1])
    assert statused([[1.0], [math.nan], [1.0]])[0] == "non_finite"
    infinite = Spread(torch.ones(3), torch.full((3,), math.inf), torch.zeros(3), math.inf)
    assert estimate(infinite).status == "non_finite"
    assert math.isnan(estimate(infinite).ratio.value)
    status, _, bound = statused([[1.0], [-0.5], [1.0], [0.2]])
    assert status == "uncertain"
    assert 0 < bound < INF
