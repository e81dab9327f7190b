"""The figure of a curve shows its numbers over those of the straight line."""

from dataclasses import replace

import numpy as np
import torch
from matplotlib.figure import Figure

from sharpmin import plots
from sharpmin.landscape import Curve, CurveConfig, Path

TS = tuple(np.linspace(0, 1, 5).tolist())
LINE = Path("line", TS, (0.1, 0.6, 0.9, 0.5, 0.2), (0.9, 0.6, 0.5, 0.6, 0.8), 10, "batch", 10, "float32")
TRAIN = Curve(
    config=CurveConfig(),
    bends=torch.zeros(1, 2),
    ts=TS,
    losses=(0.1, 0.15, 0.2, 0.2, 0.2),
    accuracies=(0.9, 0.85, 0.8, 0.8, 0.8),
    line=LINE,
    training_losses=(0.3,),
    examples=10,
    batch_norm="batch",
    training_batch_norm="batch",
    batch_size=10,
    precision="float32",
    seconds=1.0,
)


def drawn(axes):
    return [(tuple(line.get_ydata()), line.get_linestyle()) for line in axes.lines]


def test_losses_left_accuracies_right_training_solid_test_dashed():
    test = replace(TRAIN, losses=tuple(2 * loss for loss in TRAIN.losses))
    left, right = plots.curve(TRAIN, test, title="a title", ends=("SB", "LB")).axes
    assert drawn(left) == [(LINE.losses, "-"), (TRAIN.losses, "-"), (LINE.losses, "--"), (test.losses, "--")]
    percents = [tuple(100 * accuracy for accuracy in way.accuracies) for way in (LINE, TRAIN)]
    assert drawn(right) == [(percents[0], "-"), (percents[1], "-"), (percents[0], "--"), (percents[1], "--")]
    assert left.lines[0].get_linewidth() < left.lines[1].get_linewidth()
    assert (left.get_xlabel(), left.get_title()) == ("t   (0: SB;  1: LB)", "a title")


def test_a_curve_draws_itself_on_axes():
    axes = Figure().add_subplot()
    assert TRAIN.plot(axes) is axes
    assert drawn(axes) == [(LINE.losses, "-"), (TRAIN.losses, "-")]


def test_without_accuracies_there_is_no_axis_for_them_and_nan_leaves_a_gap():
    odd = replace(TRAIN, losses=(0.1, np.nan, 0.2, 0.2, 0.2), accuracies=(None,) * 5)
    figure = plots.curve(odd)
    assert [axes.get_visible() for axes in figure.axes] == [True, False]
    assert np.isfinite(figure.axes[0].get_ylim()).all()


def test_the_legend_tells_the_four_apart():
    (legend,) = plots.curve(replace(TRAIN, config=CurveConfig(kind="polygon")), TRAIN).legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "straight line, train",
        "polygonal chain, train",
        "straight line, test",
        "polygonal chain, test",
    ]
