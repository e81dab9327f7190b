"""Random lines: each is its formula, and the spread is that of the draws."""

import math

import numpy as np
import pytest
import torch

from landscape.quadratics import objective, tilted, value
from sharpmin.errors import UsageError
from sharpmin.landscape import grown_alphas, lines, random_directions
from sharpmin.landscape.points import TOGETHER

ALPHAS = (-1.0, -0.25, 0.0, 0.5, 2.0)


def by_hand(f, draws, **options):
    directions = random_directions(f, f.theta, count=draws, **options)
    return [[value(f.theta.numpy() + a * d.numpy()) for a in ALPHAS] for d in directions]


@pytest.mark.parametrize("normalisation", ["filter", "layer", "none"])
def test_every_line_of_a_quadratic_is_its_formula(normalisation):
    f = objective()
    found = lines(f, draws=4, alphas=ALPHAS, normalisation=normalisation, seed=2)
    expected = by_hand(f, 4, normalisation=normalisation, seed=2)
    np.testing.assert_allclose(found.losses, expected, rtol=1e-13)
    np.testing.assert_allclose(found.mean, np.mean(expected, axis=0), rtol=1e-13)
    np.testing.assert_allclose(found.lowest, np.sort(expected, axis=0)[0], rtol=1e-13)
    np.testing.assert_allclose(found.highest, np.sort(expected, axis=0)[-1], rtol=1e-13)
    assert found.lowest[0] < found.mean[0] < found.highest[0]
    assert {row[2] for row in found.losses} == {f.value(f.theta)}


def test_the_answer_says_how_it_was_computed():
    f = objective(batch_size=2)
    found = lines(f, draws=3, alphas=ALPHAS, seed=1)
    assert (found.alphas, found.normalisation, found.seed, found.weights) == (ALPHAS, "filter", 1, 6)
    assert (found.examples, found.batch_norm, found.batch_size, found.precision) == (5, "running", 2, "float32")
    expected = [float(d.norm()) for d in random_directions(f, f.theta, count=3, seed=1)]
    np.testing.assert_allclose(found.lengths, expected, rtol=1e-14)
    assert (len(lines(f, draws=1).alphas), lines(f, draws=1).alphas[0]) == (25, -1)


def test_points_found_before_are_not_measured_again():
    f, kept, told = objective(), [], []
    whole = lines(f, draws=4, alphas=ALPHAS, after=lambda measured: kept.append(list(measured)))
    assert [len(measured) for measured in kept] == [TOGETHER, 2 * TOGETHER, 20]
    again = lines(f, draws=4, alphas=ALPHAS, found=kept[1], progress=lambda task, done, *_, **__: told.append(done))
    assert again == whole
    assert told == [17, 18, 19, 20]
    assert lines(f, draws=4, alphas=ALPHAS, found=kept[2]) == whole


def test_nan_on_one_line_is_in_the_mean_and_the_range_and_nowhere_else():
    first, second = random_directions(objective(), objective().theta)

    def broken(model, batch):
        there = objective().theta + 2.0 * second
        losses = tilted(model, batch)
        return losses * math.nan if torch.allclose(model.w.flatten(), there) else losses

    found = lines(objective(broken), draws=2, alphas=ALPHAS)
    assert [[math.isnan(loss) for loss in row] for row in found.losses] == [[False] * 5, [False] * 4 + [True]]
    for row in (found.mean, found.lowest, found.highest):
        assert [math.isnan(loss) for loss in row] == [False] * 4 + [True]
    assert first.any()


def test_a_range_where_the_loss_has_grown_along_the_first_line():
    f = objective()
    start = f.value(f.theta)
    alphas = grown_alphas(f, f.theta, factor=3, points=9, seed=5)
    found = lines(f, draws=1, alphas=alphas, factor=3, seed=5)
    assert min(found.losses[0][0], found.losses[0][-1]) >= 3 * start
    (direction,) = random_directions(f, f.theta, count=1, seed=5)
    inside = [value(f.theta.numpy() + s * alphas[0] / 1.13 * direction.numpy()) for s in (1, -1)]
    assert min(inside) <= 3 * start
    assert (found.factor, len(found.alphas)) == (3, 9)


def test_what_makes_no_lines_is_refused():
    with pytest.raises(UsageError, match="0 draws with 1 alphas"):
        lines(objective(), draws=0, alphas=[0])
    with pytest.raises(UsageError, match="3 draws with 0 alphas"):
        lines(objective(), draws=3, alphas=[])
