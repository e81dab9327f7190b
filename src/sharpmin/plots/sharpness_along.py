"""Sharpness against cross-entropy along small-batch and large-batch training."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from sharpmin.paper.figures import AlongRow, SharpnessAlong, note_of
from sharpmin.plots.style import figure_of, footnote
from sharpmin.plots.training import COLOURS

MARKERS = {"SB": "o", "LB": "s"}


def sharpness_along(numbers: SharpnessAlong) -> Figure:
    """Draw Figure 6: Metric 2.1 by cross-entropy, which falls to the right; a line for each training.

    Args:
        numbers: as `sharpmin.paper.sharpness_along.gather` or `sharpmin.paper.figures.load` gives them.

    Returns:
        A figure with one pair of axes, not registered with pyplot.

    Source: Keskar et al. 2017, Figure 6.

    """
    figure = figure_of(lambda axis: draw_sharpness_along(axis, numbers), title=numbers.provenance.title)
    footnote(figure, note_of(numbers))
    return figure


def draw_sharpness_along(axis: Axes, numbers: SharpnessAlong) -> None:
    """Draw on axes; the last epoch is named, in the first trial of each regime."""
    trainings = dict.fromkeys((row.regime, row.batch_size, row.seed) for row in numbers.rows)
    named: set[str] = set()
    for regime, size, seed in trainings:
        rows = [row for row in numbers.rows if (row.regime, row.batch_size, row.seed) == (regime, size, seed)]
        label = None if regime in named else f"{regime}, batch {size}"
        named.add(regime)
        losses, values = [row.loss for row in rows], [row.sharpness for row in rows]
        axis.plot(losses, values, f"{MARKERS[regime]}-", color=COLOURS[regime], label=label, markersize=3, linewidth=1)
        if label is not None:
            name_epoch(axis, rows[-1])
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.invert_xaxis()
    axis.margins(x=0.1)
    for scale in (axis.xaxis, axis.yaxis):
        scale.set_major_locator(LogLocator(subs=(1, 2, 5)))
        scale.set_major_formatter(StrMethodFormatter("{x:g}"))
        scale.set_minor_locator(NullLocator())
    axis.set_xlabel("Cross-entropy on the training set (falls to the right)")
    axis.set_ylabel("Sharpness (Metric 2.1)")
    axis.legend(fontsize=9)


def name_epoch(axis: Axes, row: AlongRow) -> None:
    """Write an iterate's epoch beside it."""
    axis.annotate(
        f"epoch {row.epoch}",
        (row.loss, row.sharpness),
        xytext=(4, 4),
        textcoords="offset points",
        fontsize=7,
        color=COLOURS[row.regime],
    )
