"""The figure of a plane: right side up, its marks where they are, what is not finite crossed out."""

from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sharpmin import plots
from sharpmin.landscape import Mark, Plane

ALPHAS, BETAS = (-3.0, -1.0, 0.0, 2.0, 3.0), (-1.0, 0.0, 2.0)


def of(function, *, alphas=ALPHAS, betas=BETAS, **options):
    losses = tuple(tuple(float(function(alpha, beta)) for alpha in alphas) for beta in betas)
    made = Plane(
        kind="given",
        alphas=alphas,
        betas=betas,
        losses=losses,
        accuracies=tuple(tuple(None for _ in row) for row in losses),
        marks=(),
        lengths=(2.0, 1.0),
        cosine=0.0,
        normalisation=None,
        seed=None,
        explained=None,
        factor=None,
        weights=6,
        examples=5,
        batch_norm="running",
        batch_size=5,
        precision="float32",
    )
    return replace(made, **options)


def brightness(figure, alpha, beta):
    """Of the pixel drawn at a point; viridis is brighter where the loss is higher."""
    figure.canvas.draw()
    axis = figure.axes[0]
    x, y = axis.transData.transform((alpha, beta))
    pixels = np.asarray(figure.canvas.buffer_rgba())
    return float(pixels[round(pixels.shape[0] - y), round(x), :3].mean())


@pytest.mark.parametrize("function", [lambda a, b: a + 10 * b + 40, lambda a, b: 10.0 ** (a / 10 + b)])
def test_high_betas_are_at_the_top_and_high_alphas_at_the_right(function):
    figure = plots.plane(of(function))
    FigureCanvasAgg(figure)
    middle = brightness(figure, 0.05, 0.5)
    assert brightness(figure, 0.05, 1.9) > middle + 10
    assert brightness(figure, 0.05, -0.9) < middle - 10
    figure = plots.plane(of(lambda alpha, beta: function(beta, alpha)))
    FigureCanvasAgg(figure)
    assert brightness(figure, 2.9, 0.5) > brightness(figure, -2.9, 0.5) + 20
    left, right, bottom, top = (*figure.axes[0].get_xlim(), *figure.axes[0].get_ylim())
    assert (left, right, bottom, top) == (-3, 3, -1, 2)


def test_marks_are_where_they_are_and_named():
    marks = (Mark("SB", 0.0, 0.0), Mark("LB", 2.0, 1.0), Mark("other", -1.0, 0.5))
    axis = plots.plane(of(lambda a, b: a * a + b * b, marks=marks, kind="checkpoints")).axes[0]
    (dots,) = [line for line in axis.lines if line.get_marker() == "o"]
    assert list(zip(*dots.get_data(), strict=True)) == [(0, 0), (2, 1), (-1, 0.5)]
    assert [text.get_text() for text in axis.texts] == ["SB", "LB", "other"]
    assert dots.get_linestyle() == "None"


def test_a_trajectory_is_joined_and_its_ends_named():
    marks = tuple(Mark(str(number), float(number), 0.5) for number in (2, 1, 0))
    axis = plots.plane(of(lambda a, b: a * a + b * b, marks=marks, kind="trajectory", explained=(0.75, 0.2))).axes[0]
    (way,) = [line for line in axis.lines if line.get_marker() == "o"]
    assert way.get_linestyle() == "-"
    assert [text.get_text() for text in axis.texts] == ["2", "0"]
    assert "75.0% of the trajectory" in axis.get_xlabel()
    assert "20.0% of the trajectory" in axis.get_ylabel()


@pytest.mark.parametrize("odd", [nan, inf])
def test_what_is_not_finite_is_crossed_out_where_it_is(odd, tmp_path):
    figure = plots.plane(of(lambda a, b: odd if a == 2 and b >= 0 else a * a + b * b))
    (crosses,) = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert sorted(zip(*crosses.get_data(), strict=True)) == [(2, 0), (2, 2)]
    plots.save(figure, tmp_path / "plane.png", tmp_path / "plane.pdf")


@pytest.mark.parametrize(
    "function",
    [lambda a, b: nan, lambda a, b: 3.0, lambda a, b: 0.0, lambda a, b: -(a**2), lambda a, b: 1e-30 + 1e30 * a * a],
)
def test_every_plane_can_be_drawn_without_a_warning(function, tmp_path):
    plots.save(plots.plane(of(function), title="title"), tmp_path / "plane.png")


@pytest.mark.parametrize("shape", [((0.0,), BETAS), (ALPHAS, (0.0,)), ((0.0,), (0.0,))])
def test_a_single_row_or_column_is_drawn_without_a_warning(shape, tmp_path):
    alphas, betas = shape
    plots.save(plots.plane(of(lambda a, b: a + b, alphas=alphas, betas=betas)), tmp_path / "plane.png")


def test_levels_are_logarithmic_where_the_loss_spans_much():
    wide, narrow = plots.plane(of(lambda a, b: 10.0**a)), plots.plane(of(lambda a, b: 5 + a))
    assert [figure.axes[1].get_yscale() == "log" for figure in (wide, narrow)] == [True, False]
    assert "100" in [label.get_text() for label in wide.axes[1].get_yticklabels()]


def test_a_plane_draws_itself_on_given_axes_or_on_new_ones():
    found = of(lambda a, b: a * a + b * b)
    mine = Figure().add_subplot()
    assert found.plot(mine) is mine
    assert "alpha" in mine.get_xlabel()
    new = found.plot()
    assert new is not mine
    assert pyplot.get_fignums() == [new.get_figure().number]
    pyplot.close(new.get_figure())
