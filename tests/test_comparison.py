"""The verdict and the caveats, from made-up readings."""

import math
from dataclasses import replace

import pytest

from cases import bowl, half_square
from sharpmin import Objective
from sharpmin.comparison import Reading, Standing, caveats, read, verdict
from sharpmin.progress import silent


def standing(point, *, loss=0.01, test=None, norm=10.0):
    return Standing(point, loss, None, test, None, norm)


def readings(**values):
    """metric=(a, b), ...: a reading of each measure at points a, b, ..."""
    names = {"metric": "metric-2.1", "adaptive": "adaptive", "top": "lambda-max", "noise": "noise-scale"}
    return [
        Reading(names[name], point, *(value if isinstance(value, tuple) else (value, None)), None, "evidence")
        for name, row in values.items()
        for point, value in zip("abc", row, strict=False)
    ]


A, B = standing("a"), standing("b")


def test_all_agree():
    said = verdict([A, B], readings(metric=(1, 30), adaptive=(0.1, 0.2), top=((5, 0.1), (50, 0.1))))
    assert said.startswith(
        "b is sharper than a by 3 of 3 measures (metric-2.1 30 times, adaptive 2 times, lambda-max 10"
    )
    assert "no held-out data" in said


def test_the_majority_decides_and_the_others_are_named():
    said = verdict([A, B], readings(metric=(1, 2), adaptive=(3, 1), top=(8, 2)))
    assert said.startswith("a is sharper than b by 2 of 3 measures (adaptive 3 times, lambda-max 4 times)")
    assert "metric-2.1 says the opposite, 2 times" in said


def test_within_the_uncertainty_there_is_no_vote():
    said = verdict([A, B], readings(metric=(1, 1.05), top=((5, 3.0), (9, 3.0))))
    assert said == "Nothing taken here tells a and b apart: metric-2.1 cannot tell; lambda-max cannot tell."


def test_the_noise_scale_has_no_vote():
    assert "1 of 1" in verdict([A, B], readings(noise=(1, 9), metric=(1, 9)))


def test_the_extremes_of_several():
    said = verdict([A, B, standing("c")], readings(metric=(5, 1, 3)))
    assert said.startswith("a is sharper than b")


@pytest.mark.parametrize(("tests", "says"), [((0.3, 0.4), "higher: 0.4 against 0.3"), ((0.4, 0.3), "not higher")])
def test_generalisation_is_told_from_held_out_data(tests, says):
    points = [standing(name, test=test) for name, test in zip("ab", tests, strict=True)]
    assert says in verdict(points, readings(metric=(1, 9)))


def test_infinite_sharpness_wins_and_nan_does_not_vote():
    assert "inf times" in verdict([A, B], readings(metric=(1, math.inf)))
    assert "cannot tell" in verdict([A, B], readings(metric=(1, math.nan)))


def test_caveats():
    points = [standing("a", loss=0.1, norm=10), standing("b", loss=0.5, norm=20)]
    slope = Reading("metric-2.1", "a", 1.0, None, "60% of the rise is slope", None)
    found = " ".join(caveats(points, [slope], batch_norm="running", has_norms=True))
    for says in ("60% of the rise", "training losses differ (0.1, 0.5)", "differ in norm (10, 20)", '"running"'):
        assert says in found
    assert caveats([A, B], readings(metric=(1, 2)), batch_norm="batch", has_norms=False) == []


def test_without_a_measure_of_sharpness_there_is_no_verdict():
    assert verdict([A, B], readings(noise=(1, 9))) == "No measure of sharpness was taken, so there is no verdict."


def test_a_measure_that_could_not_be_taken_is_a_caveat_and_votes_for_nothing():
    problem = bowl()
    f = Objective(problem.model, [(problem.data.inputs, None)], loss=half_square)
    missed = read("noise-scale", f, "a", seed=0, progress=silent)
    assert math.isnan(missed.value)
    assert missed.caveat is not None
    assert missed.caveat.startswith("noise-scale could not be taken at a: ")
    lost = replace(missed, measure="metric-2.1")
    assert "1 of 1 measures" in verdict([A, B], [lost, *readings(metric=(1, 2), adaptive=(1, 2))])
