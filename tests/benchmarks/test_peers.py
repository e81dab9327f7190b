"""What the side-by-side benchmarks make of their turns: ratios, refusals, slopes; and that two sides agree for real."""

import math
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")


@pytest.fixture(autouse=True)
def _scripts(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


def row(side, seconds, *, number=0, task="metric", **found):
    return {
        "task": task,
        "side": side,
        "round": number,
        "seconds": seconds,
        "cpu": seconds / 2,
        "peak_bytes": 2**30,
        **found,
    }


def test_a_ratio_pairs_two_turns_of_one_round():
    from turns import report

    rows = [
        row(side, s, number=n)
        for n, pair in enumerate([(1, 3), (2, 4)])
        for side, s in zip(("sharpmin", "scipy"), pair, strict=True)
    ]
    found = report(rows)
    assert found["ratio"] == {"metric_scipy": {"n": 2, "median": 2.5, "minimum": 2.0, "maximum": 3.0}}
    assert found["seconds"]["metric_sharpmin"]["median"] == 1.5
    assert found["peak_memory_gib"]["metric_scipy"] == 1.0


@pytest.mark.parametrize(
    ("task", "ours", "theirs", "reason"),
    [
        ("metric", {"loss": 1.0, "value": 50.0}, {"loss": 1.0, "value": 50.9}, ""),
        ("metric", {"loss": 1.0, "value": 50.0}, {"loss": 1.0, "value": 52.0}, "Metric 2.1 is 52, not 50"),
        ("metric", {"loss": 1.0, "value": 50.0}, {"loss": 1.001, "value": 50.0}, "a loss is 1.001000, not 1.000000"),
        ("top5", {"eigenvalues": [5.0, 4.0]}, {"eigenvalues": [5.01, 3.8]}, "the eigenvalues are 5.01, 3.8, not 5, 4"),
        ("top5", {"eigenvalues": [5.0, 4.0]}, {"eigenvalues": [5.01, 4.01]}, ""),
        ("trace", {"value": 10.0, "chance": 1.0}, {"value": 12.0, "chance": 1.5}, ""),
        ("trace", {"value": 10.0, "chance": 1.0}, {"value": 13.0, "chance": 1.5}, "the trace is 13, not 10"),
        ("path", {"losses": [1.0, 2.0]}, {"losses": [1.0, 2.001]}, "the losses differ by more than 1e-4"),
        ("train", {"loss": 0.5}, {"loss": 0.50005}, ""),
    ],
)
def test_a_side_that_disagrees_gets_no_ratio(task, ours, theirs, reason):
    from peers import judged

    rows = [row("sharpmin", 1, task=task, **ours), row("other", 1, task=task, **theirs)]
    agreeing, reasons = judged(rows)
    assert len(agreeing) == (1 if reason else 2)
    assert reasons.get(f"{task}_other", "").startswith(reason)
    assert bool(reasons) == bool(reason)


def test_the_interval_of_a_mean_is_student_s():
    from sides.curvature import mean_and_error

    mean, half = mean_and_error([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert half == pytest.approx(
        31.598 / math.sqrt(3), rel=1e-4
    )  # tables of t: 31.598 at 99.9%, two degrees of freedom


def test_the_slope_of_a_power_law_is_its_exponent():
    from growth import slope

    sizes = [100, 200, 400, 800]
    exact = slope(sizes, [3 * size**1.5 for size in sizes])
    assert (exact["slope"], exact["scale"], exact["residual"]) == pytest.approx((1.5, 3.0, 1.0))
    off = slope(sizes, [size * factor for size, factor in zip(sizes, (1.1, 1 / 1.1, 1 / 1.1, 1.1), strict=True)])
    assert (off["slope"], off["residual"]) == pytest.approx((1.0, 1.1))


def test_sharpmin_and_the_plain_loops_find_the_same():
    from sides import landscape, metric, training
    from sides.problem import Problem

    problem = Problem("dense-1", 12)
    ours, plain = (landscape.MAKERS[side](problem) for side in ("sharpmin", "plain"))
    for task in ("path", "plane"):
        assert landscape.same_losses(task, "plain", getattr(plain, task)(2), getattr(ours, task)(2))
    assert not landscape.same_losses("path", "plain", plain.path(2) + 0.01, ours.path(2))
    found, expected = metric.by_sharpmin(problem, 2), metric.by_scipy(problem, 2)
    assert found["value"] == pytest.approx(expected["value"], rel=0.02)
    losses = [training.loss_without_chance(side, problem) for side in ("sharpmin", "plain")]
    assert np.diff(losses) == pytest.approx(0, abs=1e-4)
