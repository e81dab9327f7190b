"""Grids contain what was asked for, exactly; a range found is where the loss has grown by the factor."""

import math

import numpy as np
import pytest
import torch

from cases import F64, bowl, half_square
from sharpmin import Objective
from sharpmin.errors import UsageError
from sharpmin.landscape import Frame, Mark, around, even, grown
from sharpmin.landscape.grids import between, half_width, reach


@pytest.mark.parametrize("points", [2, 3, 24, 25, 51])
@pytest.mark.parametrize("half_width", [1.0, 0.3, 7.7e-5])
def test_an_even_axis_is_symmetric_and_with_odd_points_contains_zero(points, half_width):
    axis = even(half_width, points)
    assert (axis[0], axis[-1], len(axis)) == (-half_width, half_width, points)
    np.testing.assert_allclose(axis, np.linspace(-half_width, half_width, points), rtol=1e-14, atol=1e-16 * half_width)
    assert [-value for value in axis[::-1]] == list(axis)
    assert (0.0 in axis) == bool(points % 2)


def test_a_range_has_the_ends_asked_for():
    assert between(-0.25, 1.5, 8) == pytest.approx(np.linspace(-0.25, 1.5, 8), rel=1e-14)
    assert (between(0.1, 0.7, 7)[0], between(0.1, 0.7, 7)[-1]) == (0.1, 0.7)
    assert between(-1, 1, 25)[12] == 0
    for low, high in ((1, 1), (2, 1), (0, math.inf), (math.nan, 1)):
        with pytest.raises(UsageError, match="is empty"):
            between(low, high)
    with pytest.raises(UsageError, match="1 points do not make an axis"):
        even(1.0, 1)


def test_around_marks_every_mark_is_inside_with_its_margin():
    marks = [Mark("a", 0, 0), Mark("b", 8, 0), Mark("c", 2, -4)]
    grid = around(marks, points=(5, 3), margin=0.25)
    assert grid.alphas == (-2, 1, 4, 7, 10)
    assert grid.betas == (-5, -2, 1)


@pytest.mark.parametrize("at", [3.0, 1.0, 0.013, 900.0])
def test_reach_is_the_first_crossing_to_an_eighth(at):
    found = reach(lambda t: t / at, 1.0)
    assert at <= found <= at * 1.13


def test_reach_takes_nan_and_infinity_for_grown():
    for odd in (math.nan, math.inf):
        found = reach(lambda t, odd=odd: odd if t > 0.2 else 0.0, 1.0)
        assert 0.2 <= found <= 0.226


def test_a_loss_that_never_grows_is_refused():
    with pytest.raises(
        UsageError, match=r"the loss is below 5 at every power of two .* times the direction: give the range"
    ):
        reach(lambda t: 0.0, 5.0)


def test_reach_looks_inwards_where_nothing_is_reached_outwards():
    """A bump between 0.1 and 0.3: a power of two, 1/4, is on it, and its near side is found."""
    found = reach(lambda t: float(0.1 < t < 0.3), 1.0)
    assert 0.1 <= found <= 0.113


def test_a_loss_that_falls_again_has_reached_the_limit_within_the_range():
    """0.1 + t^2 / 8 one way, which is 0.5 at sqrt(3.2), and a bump around 1 the other."""

    def loss(t):
        return 0.1 + (t**2 / 8 if t > 0 else math.exp(-8 * (t + 1) ** 2))

    found = half_width(loss, 0.5)
    assert math.sqrt(3.2) <= found <= 1.13 * math.sqrt(3.2)
    assert loss(-found) < 0.5 <= min(loss(found), max(loss(t) for t in np.linspace(-found, 0, 101)))


def problem():
    """A bowl, its minimizer, and axes of lengths 1 and 10."""
    case = bowl(3)
    f = Objective(case.model, case.data, loss=half_square)
    minimizer = case.data.inputs.mean(0)
    u, v = torch.eye(3, dtype=F64)[:2]
    return f, Frame(minimizer, u, 10 * v)


@pytest.mark.parametrize("factor", [1.5, 10.0])
def test_the_ends_of_the_axes_are_where_a_quadratic_has_grown_by_the_factor(factor):
    f, frame = problem()
    grid = grown(f, frame, factor=factor, points=(5, 7))
    start = f.value(frame.centre)
    exact = math.sqrt(2 * (factor - 1) * start)
    assert exact <= grid.alphas[-1] <= 1.13 * exact
    assert exact <= 10 * grid.betas[-1] <= 1.13 * exact
    assert (len(grid.alphas), len(grid.betas), grid.factor) == (5, 7, factor)
    assert f.value(frame.theta(grid.alphas[0], 0.0)) >= factor * start


def test_of_both_ways_the_longer_one_is_taken():
    f, frame = problem()
    aside = Frame(frame.centre + 0.5 * frame.u, frame.u, frame.v)
    start = f.value(aside.centre)
    back = 0.5 + math.sqrt(0.25 + 2 * start)  # where (t - 1/2)^2 / 2 has risen by f(centre)
    assert back <= grown(f, aside, factor=2).alphas[-1] <= 1.13 * back


def test_a_factor_or_a_start_that_means_nothing_is_refused():
    f, frame = problem()
    with pytest.raises(UsageError, match="a factor of 1 does not grow"):
        grown(f, frame, factor=1)
    shifted = Objective(f.model, f.data, loss=lambda model, batch: half_square(model, batch) - 100)
    with pytest.raises(UsageError, match=r"the loss at the centre is -\d.*give the range"):
        grown(shifted, frame)


def test_progress_tells_every_evaluation():
    f, frame = problem()
    told = []
    grown(f, frame, progress=lambda task, done, total, **note: told.append((task, done, total)))
    assert told == [("range", number + 1, None) for number in range(len(told))]
    assert len(told) > 10
