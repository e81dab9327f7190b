"""Test accuracy and sharpness against the batch size."""

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from sharpmin.paper.figures import BatchSizes
from sharpmin.plots.style import ACCURACY_COLOUR, LOSS_COLOUR, STYLE, footnote
from sharpmin.plots.trials import draw_spread, spread


def batch_sizes(numbers: BatchSizes) -> Figure:
    """Draw Figure 4: test accuracy (left axis) and Metric 2.1 (right axis) by batch size, mean and deviation.

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
        footnote(figure, numbers.provenance.note)
    return figure


def draw_batch_sizes(axis: Axes, numbers: BatchSizes) -> None:
    """Draw on axes: accuracy on these, sharpness on new ones to their right."""
    right = axis.twinx()
    accuracies = spread(numbers.rows, at=lambda r: r.batch_size, of=lambda r: percent(r.test_accuracy))
    sharpness = spread(numbers.rows, at=lambda r: r.batch_size, of=lambda r: r.sharpness)
    draw_spread(axis, accuracies, "o-", colour=ACCURACY_COLOUR, label="test accuracy")
    draw_spread(right, sharpness, "s--", colour=LOSS_COLOUR, label="sharpness")
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


def percent(accuracy: float | None) -> float | None:
    """Of a fraction, where there is one."""
    return None if accuracy is None else 100 * accuracy
