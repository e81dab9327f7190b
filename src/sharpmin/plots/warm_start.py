"""Large-batch training from small-batch iterates: test accuracy above, sharpness below, by warm-start epochs."""

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sharpmin.paper.figures import WarmStarts, note_of
from sharpmin.plots.style import ACCURACY_COLOUR, LOSS_COLOUR, STYLE, footnote
from sharpmin.plots.trials import draw_spread, spread
from sharpmin.spread import percent


def warm_start(numbers: WarmStarts) -> Figure:
    """Draw Figure 5: test accuracy of the small-batch iterates and of the large-batch solutions started from them.

    Args:
        numbers: as `sharpmin.paper.warm_start.gather` or `sharpmin.paper.figures.load` gives them.

    Returns:
        A figure with two axes, not registered with pyplot; the lower one has the sharpness of the solutions.

    Source: Keskar et al. 2017, Figure 5.

    """
    with matplotlib.rc_context({**STYLE, "figure.figsize": (6.4, 6.0)}):
        figure = Figure(layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True)
        draw_accuracies(upper, numbers)
        draw_sharpness(lower, numbers)
        upper.set_title(f"{numbers.provenance.title}; small batch {numbers.small_batch}", fontsize=9)
        footnote(figure, note_of(numbers))
    return figure


def draw_accuracies(axis: Axes, numbers: WarmStarts) -> None:
    """Draw test accuracies on axes."""
    small = spread(
        [row for row in numbers.rows if row.warm_epochs],
        at=lambda r: r.warm_epochs,
        of=lambda r: percent(r.small_test_accuracy),
    )
    large = spread(numbers.rows, at=lambda r: r.warm_epochs, of=lambda r: percent(r.test_accuracy))
    draw_spread(axis, small, "o--", colour=LOSS_COLOUR, label=f"SB ({numbers.small_batch}), the iterate itself")
    draw_spread(axis, large, "s-", colour=ACCURACY_COLOUR, label=f"LB ({numbers.large_batch}), started from it")
    axis.set_ylabel("Test accuracy (%)")
    axis.legend(fontsize=8)


def draw_sharpness(axis: Axes, numbers: WarmStarts) -> None:
    """Draw the sharpness of the large-batch solutions on axes."""
    found = spread(numbers.rows, at=lambda r: r.warm_epochs, of=lambda r: r.sharpness)
    draw_spread(axis, found, "s-", colour=ACCURACY_COLOUR, label="LB")
    axis.set_ylabel("Sharpness of the LB solution")
    axis.set_xlabel("Epochs of small-batch training before (0: none)")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_ylim(bottom=0)
