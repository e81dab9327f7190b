"""The figure shows the numbers, in the colours and lines of the authors' figure."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import same_color

from cases import tiny_job
from sharpmin import plots
from sharpmin.history import Epoch
from sharpmin.landscape import Path
from sharpmin.paper.parametric_plot import ParametricPlot, Point
from sharpmin.paper.published import figure_3

ALPHAS = np.linspace(-1, 2, 25)
LAST = Epoch(2, 0.1, 0.9, 0.2, 0.8, 1.0)
PLOT = ParametricPlot(
    job=tiny_job(),
    data={"name": "mnist", "synthetic": False, "train": 50, "test": 20},
    points=tuple(Point(a, 1 + a**2, 0.9 - a / 10, 2 + a**2, 0.7 - a / 10) for a in ALPHAS.tolist()),
    final={"small_batch": LAST, "large_batch": replace(LAST, epoch=3)},
    environment={},
    seconds={},
)


def curves(figure, *, width=None):
    """Lines with as many points as the grid, from both axes: losses first."""
    lines = [line for axes in figure.axes for line in axes.lines if len(line.get_xdata()) == 25]
    return [line for line in lines if width is None or line.get_linewidth() == width]


def test_the_curves_are_the_numbers():
    expected = [1 + ALPHAS**2, 2 + ALPHAS**2, 90 - 10 * ALPHAS, 70 - 10 * ALPHAS]
    for line, y in zip(curves(plots.parametric(PLOT)), expected, strict=True):
        np.testing.assert_allclose(line.get_xdata(), ALPHAS)
        np.testing.assert_allclose(line.get_ydata(), y)


def test_loss_is_blue_and_left_accuracy_red_and_right_training_solid_test_dashed():
    figure = plots.parametric(PLOT)
    left, right = figure.axes
    assert (left.get_ylabel(), right.get_ylabel()) == ("Cross-entropy", "Accuracy (%)")
    assert (left.yaxis.get_label_position(), right.yaxis.get_label_position()) == ("left", "right")
    for axes, colour in ((left, "tab:blue"), (right, "tab:red")):
        lines = [line for line in axes.lines if len(line.get_xdata()) == 25]
        assert [line.get_linestyle() for line in lines] == ["-", "--"]
        assert all(same_color(line.get_color(), colour) for line in lines)
    assert "alpha" in left.get_xlabel()


def test_the_legend_tells_training_from_test():
    (legend,) = plots.parametric(PLOT).legends
    assert [text.get_text() for text in legend.get_texts()] == ["Train", "Test"]


def test_the_authors_curves_are_overlaid():
    curve = figure_3("C1")
    figure = plots.parametric(PLOT, published=curve)
    pale = curves(figure, width=0.9)
    assert len(curves(figure)) == 8
    expected = [curve.train_loss, curve.test_loss, curve.train_accuracy, curve.test_accuracy]
    assert [tuple(line.get_ydata()) for line in pale] == expected
    assert "Test, published" in [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_points_that_are_not_finite_leave_a_gap(tmp_path, odd):
    points = (replace(PLOT.points[0], train_loss=odd, test_loss=odd), *PLOT.points[1:])
    figure = plots.parametric(replace(PLOT, points=points))
    plots.save(figure, tmp_path / "F1.png")
    assert np.isfinite(figure.axes[0].get_ylim()).all()


def test_the_title_says_what_is_less_than_the_whole_job():
    job = tiny_job(path="arc", train_size=600)
    plot = replace(PLOT, job=job, data={**PLOT.data, "name": "synthetic", "synthetic": True})
    expected = "F1 on synthetic (made up, not real data), 600 training examples, 2 and 3 epochs, curved path"
    assert plots.title(plot) == expected
    fewer = replace(plot, job=replace(job, test_size=90))
    assert "600 training examples, 90 test examples, 2 and 3 epochs" in plots.title(fewer)
    assert plots.title(PLOT) == "F1 on MNIST, 2 and 3 epochs"


def test_pdf_and_png_are_written_and_the_same_numbers_give_the_same_bytes(tmp_path):
    for folder in ("one", "other"):
        plots.save(plots.parametric(PLOT), tmp_path / folder / "F1.pdf", tmp_path / folder / "F1.png")
    for name, magic in (("F1.pdf", b"%PDF"), ("F1.png", b"\x89PNG")):
        content = (tmp_path / "one" / name).read_bytes()
        assert content.startswith(magic)
        assert content == (tmp_path / "other" / name).read_bytes()
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == ["F1.pdf", "F1.png"]


def test_one_alpha_is_drawn_without_a_warning():
    single = Path("line", (0.0,), (0.5,), (0.8,), 10, "running", 10, "float32")
    assert len(plots.path(single).axes) == 2
