"""Random lines: every draw thin, their mean bold, their range shaded."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sharpmin.landscape.lines import Lines
from sharpmin.plots.style import LOSS_COLOUR, figure_of


def lines(found: Lines, *, title: str = "") -> Figure:
    """Draw the loss along random directions.

    Args:
        found: what `sharpmin.landscape.lines` gave.
        title: above the axes.

    Returns:
        A figure with one pair of axes, not registered with pyplot.

    """
    return figure_of(lambda axis: draw_lines(axis, found), title=title)


def draw_lines(axis: Axes, found: Lines) -> None:
    """Draw on axes."""
    axis.fill_between(found.alphas, found.lowest, found.highest, color=LOSS_COLOUR, alpha=0.2)
    for losses in found.losses:
        axis.plot(found.alphas, losses, color=LOSS_COLOUR, linewidth=0.6, alpha=0.6)
    axis.plot(
        found.alphas, found.mean, color=LOSS_COLOUR, label=f"mean of {len(found.losses)} lines; shaded, their range"
    )
    axis.axvline(0, color="grey", linewidth=0.8, linestyle=":")
    axis.set_xlabel(f"alpha   (directions of length {min(found.lengths):.4g} to {max(found.lengths):.4g})")
    axis.set_ylabel("Loss")
    axis.legend(fontsize=9)
