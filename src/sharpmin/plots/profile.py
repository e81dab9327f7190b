"""The two axes of every way between minimizers: loss on the left in blue, accuracy in percent on the right in red."""

from math import nan

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sharpmin.landscape.barrier import Profile
from sharpmin.plots.style import ACCURACY_COLOUR, LOSS_COLOUR, STYLE

ENDS = ("theta_a", "theta_b")


def draw_profile(
    loss_axis: Axes, accuracy_axis: Axes, found: Profile, line: str, *, label: str, **style: float
) -> None:
    """One way's two lines; accuracies in percent, a gap where there is none."""
    percents = [nan if accuracy is None else 100 * accuracy for accuracy in found.accuracies]
    loss_axis.plot(found.alphas, found.losses, line, color=LOSS_COLOUR, label=label, **style)  # type: ignore[arg-type]
    accuracy_axis.plot(found.alphas, percents, line, color=ACCURACY_COLOUR, **style)  # type: ignore[arg-type]


def label_axes(loss_axis: Axes, accuracy_axis: Axes, found: Profile, *, way: str, loss_label: str = "Loss") -> None:
    """Labels in the lines' colours, and limits: all of the way, losses and accuracies from 0."""
    loss_axis.set_xlabel(way)
    for axis, colour, text in (
        (loss_axis, LOSS_COLOUR, loss_label),
        (accuracy_axis, ACCURACY_COLOUR, "Accuracy (%)"),
    ):
        axis.set_ylabel(text, color=colour)
        axis.tick_params(axis="y", colors=colour)
    if len(found.alphas) > 1:
        loss_axis.set_xlim(found.alphas[0], found.alphas[-1])
    if not any(loss < 0 for loss in found.losses):
        loss_axis.set_ylim(bottom=0)
    accuracy_axis.set_ylim(0, 102)
    accuracy_axis.grid(visible=False)
    accuracy_axis.set_visible(any(accuracy is not None for accuracy in found.accuracies))


def legend_below(figure: Figure, *, columns: int) -> Figure:
    """The figure with its lines' names below, in so many columns at the most."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    with matplotlib.rc_context(STYLE):
        figure.legend(handles, labels, loc="outside lower center", ncols=min(columns, len(labels)), fontsize=9)
    return figure
