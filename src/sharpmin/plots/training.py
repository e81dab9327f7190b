"""Training curves: accuracy after each epoch."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sharpmin.history import Epoch
from sharpmin.plots.style import ACCURACY_COLOUR, LOSS_COLOUR, figure_of

COLOURS = {"SB": LOSS_COLOUR, "LB": ACCURACY_COLOUR}


def training_curves(histories: Mapping[str, Sequence[Epoch]], *, title: str = "") -> Figure:
    """Draw training (solid) and test (dashed) accuracy in percent by epoch.

    Args:
        histories: of "SB" and "LB".
        title: above the axes.

    Returns:
        A figure with one pair of axes, not registered with pyplot.

    Source: Keskar et al. 2017, Figure 2.

    """
    return figure_of(lambda axis: draw_training_curves(axis, histories), title=title)


def draw_training_curves(axis: Axes, histories: Mapping[str, Sequence[Epoch]]) -> None:
    """Draw on axes; the lower end of the axis is the lowest accuracy after the first epoch."""
    later = []
    for regime, history in histories.items():
        epochs = [epoch.epoch for epoch in history]
        for part, line, marker in (("train", "-", "o"), ("test", "--", "s")):
            accuracies = [getattr(epoch, f"{part}_accuracy") for epoch in history]
            if None in accuracies:
                continue
            percents = [100 * accuracy for accuracy in accuracies]
            later += percents[1:] or percents
            axis.plot(
                epochs, percents, line, marker=marker, markersize=2.5, color=COLOURS[regime], label=f"{regime}, {part}"
            )
    axis.set_xlabel("epoch")
    axis.set_ylabel("Accuracy (%)")
    axis.set_ylim(max(0.0, min(later) - 1), 100.5)
    axis.legend(loc="lower right")
