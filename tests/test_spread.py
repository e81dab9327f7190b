"""Means and deviations against the standard library's, and how they are written."""

import math
import statistics

import pytest

from sharpmin.spread import Spread, number, plus_minus, spread


@pytest.mark.parametrize("values", [(1.0, 2.0, 4.0), (1e-9, 1e9), (0.1,) * 7, (-3.0, 3.5)])
def test_mean_and_deviation(values):
    found = Spread(values)
    assert found.mean == pytest.approx(statistics.fmean(values))
    assert found.deviation == pytest.approx(statistics.stdev(values), abs=1e-15)
    assert found.error == pytest.approx(statistics.stdev(values) / len(values) ** 0.5, abs=1e-15)


def test_a_single_value_has_no_deviation():
    assert (Spread((3.0,)).mean, Spread((3.0,)).deviation, Spread((3.0,)).error) == (3.0, None, None)


def test_nan_is_nan_and_nothing_is_nothing():
    assert math.isnan(Spread((1.0, math.nan)).mean)
    assert Spread((1.0, math.inf)).mean == math.inf
    assert math.isnan(Spread((1.0, math.nan)).deviation)
    assert Spread((1.0, math.inf, 2.0)).fixed() == "inf"
    assert str(Spread((1.0, math.nan))) == "NaN"
    assert str(Spread((1.0, math.inf))) == "∞"
    assert spread([None, 2.0, None]).values == (2.0,)


@pytest.mark.parametrize(
    ("value", "error", "written"),
    [
        (364.04, 48.5, "364 ± 48"),
        (4.06, 2.62, "4.1 ± 2.6"),
        (0.5, 0.0123, "0.500 ± 0.012"),
        (12345.6, 789.0, "12346 ± 789"),
        (3e-7, 1e-8, "3.00e-07 ± 1.0e-08"),
        (2.0, math.nan, "2 ± NaN"),
    ],
)
def test_a_value_is_written_to_the_digits_of_its_error(value, error, written):
    assert plus_minus(value, error) == written


def test_what_is_not_finite_is_written_as_such():
    assert [number(v) for v in (math.nan, math.inf, -math.inf, None, 7, 0.0)] == ["NaN", "∞", "−∞", "", "7", "0"]
