"""Test accuracy and sharpness against the batch size."""

from itertools import cycle

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from sharpmin.paper.figures import BatchSizes, note_of
from sharpmin.plots.style import ACCURACY_COLOUR, LOSS_COLOUR, STYLE, footnote
from sharpmin.plots.trials import draw_spread, spread
from sharpmin.spread import percent

LINES = ("s--", "^:", "D-.")


def batch_sizes(numbers: BatchSizes) -> Figure:
    """Draw Figure 4: test accuracy (left axis) and Metric 2.1 by each epsilon (right axis) against the batch size.

    Means and deviations over the trials.

    Args:
        numbers: as `sharpmin.paper.batch_sizes.gather` or `sharpmin.paper.figures.load` gives them.

    Returns:
        A figure with two axes, not registered with pyplot.

    Source: Keskar et al. 2017, Figure 4.

    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(layout="constrained")
        axis = figure.add_subplot()
        draw_batch_sizes(axis, numbers)
        axis.set_title(numbers.provenance.title, fontsize=9)
        figure.legend(loc="outside upper center", ncols=3, fontsize=8)
        footnote(figure, note_of(numbers))
    return figure


def draw_batch_sizes(axis: Axes, numbers: BatchSizes) -> None:
    """Draw on axes: accuracy on these, sharpness on new ones to their right; labelled, without a legend."""
    right = axis.twinx()
    of_each = [row for row in numbers.rows if row.epsilon == numbers.provenance.epsilons[0]]  # a training once
    accuracies = spread(of_each, at=lambda r: r.batch_size, of=lambda r: percent(r.test_accuracy))
    draw_spread(axis, accuracies, "o-", colour=ACCURACY_COLOUR, label="test accuracy")
    for epsilon, line in zip(numbers.provenance.epsilons, cycle(LINES), strict=False):
        rows = [row for row in numbers.rows if row.epsilon == epsilon]
        sharpness = spread(rows, at=lambda r: r.batch_size, of=lambda r: r.sharpness)
        draw_spread(right, sharpness, line, colour=LOSS_COLOUR, label=f"sharpness, epsilon {epsilon:g}")
    axis.set_xscale("log", base=2)
    axis.set_xticks(accuracies[0], [f"{size:,}" for size in accuracies[0]], rotation=45, fontsize=8)
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel("Batch size")
    for one, colour, text in (
        (axis, ACCURACY_COLOUR, "Test accuracy (%)"),
        (right, LOSS_COLOUR, "Sharpness (Metric 2.1)"),
    ):
        one.set_ylabel(text, color=colour)
        one.tick_params(axis="y", colors=colour)
    right.set_ylim(bottom=0)
    right.grid(visible=False)
