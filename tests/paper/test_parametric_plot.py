"""The numbers of a parametric plot, kept and read back."""

import math
from dataclasses import asdict, replace

import pytest

from cases import tiny_job
from sharpmin.disk import write_json
from sharpmin.errors import RunError
from sharpmin.history import Epoch
from sharpmin.paper import parametric_plot
from sharpmin.paper.parametric_plot import ParametricPlot, Point

LAST = Epoch(2, 0.1, 0.9, None, None, 1.0)
PLOT = ParametricPlot(
    job=tiny_job(),
    data={"name": "mnist", "synthetic": False, "train": 50, "test": 20},
    points=tuple(Point(alpha, 1 + alpha**2, 0.9, 2 + alpha**2, 1 / 3) for alpha in (-1.0, 0.0, 1.0, 2.0)),
    final={"small_batch": LAST, "large_batch": replace(LAST, epoch=3)},
    environment={"threads": 1},
    seconds={"evaluation": 0.1},
)


@pytest.mark.parametrize("odd", [math.nan, math.inf, 0.1])
def test_json_keeps_every_number(tmp_path, odd):
    plot = replace(PLOT, points=(replace(PLOT.points[0], train_loss=odd), *PLOT.points[1:]))
    write_json(tmp_path / "F1.json", asdict(plot))
    assert repr(parametric_plot.load(tmp_path / "F1.json")) == repr(plot)  # NaN equals itself here


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"job": {}}', '{"job": 3}'])
def test_another_json_is_named(tmp_path, content):
    (tmp_path / "F1.json").write_text(content)
    with pytest.raises(RunError, match=f"{tmp_path}/F1.json"):
        parametric_plot.load(tmp_path / "F1.json")


def test_the_summary_names_both_minimizers():
    assert f"train loss {PLOT.points[1].train_loss:.4f}" in parametric_plot.summary(PLOT).splitlines()[0]
    assert "large batch" in parametric_plot.summary(PLOT).splitlines()[1]
