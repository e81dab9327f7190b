"""Curves between two minimizers over the straight line they replace.

As on the other paths: loss on the left in blue, accuracy in percent on the right in red, the training set solid, the
test set dashed. The straight line is thin and pale.
"""

from math import nan

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sharpmin.landscape.barrier import Profile
from sharpmin.landscape.curves import Curve
from sharpmin.plots.style import ACCURACY_COLOUR, LOSS_COLOUR, STYLE

ENDS = ("theta_a", "theta_b")
PALE = {"linewidth": 0.9, "alpha": 0.55}


def curve(train: Curve, test: Curve | None = None, *, title: str = "", ends: tuple[str, str] = ENDS) -> Figure:
    """Draw loss and, where there is one, accuracy along a curve and along the straight line between its ends.

    Args:
        train: drawn solid.
        test: the same curve on the test set, drawn dashed.
        title: above the axes.
        ends: what lies at t = 0 and at t = 1.

    Returns:
        A figure with two axes, not registered with pyplot.

    Example:
        >>> import torch
        >>> from sharpmin import Objective, data, landscape
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> f = Objective(torch.nn.Linear(4, 3), toy.train)
        >>> config = landscape.CurveConfig(epochs=1)
        >>> len(curve(landscape.connect(f, f.theta, f.theta + 1, config, points=3)).axes)
        2

    Source: Garipov et al. 2018, Figure 2 (right).

    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(layout="constrained")
        loss_axis = figure.add_subplot()
        draw_curve(loss_axis, train, test, ends=ends)
        loss_axis.set_title(title, fontsize=9)
        handles, labels = loss_axis.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9)
    return figure


def draw_curve(loss_axis: Axes, train: Curve, test: Curve | None = None, *, ends: tuple[str, str] = ENDS) -> None:
    """Draw on axes: loss on these, accuracy on new ones to their right."""
    accuracy_axis = loss_axis.twinx()
    name = {"bezier": "Bezier curve", "polygon": "polygonal chain"}[train.config.kind]
    for found, line, part in ((train, "-", "train"), (test, "--", "test")):
        if found is not None:
            draw_losses(loss_axis, accuracy_axis, found.line, line, label=f"straight line, {part}", **PALE)
            draw_losses(loss_axis, accuracy_axis, found, line, label=f"{name}, {part}")
    loss_axis.set_xlabel(f"t   (0: {ends[0]};  1: {ends[1]})")
    loss_axis.set_ylabel("Loss", color=LOSS_COLOUR)
    accuracy_axis.set_ylabel("Accuracy (%)", color=ACCURACY_COLOUR)
    loss_axis.tick_params(axis="y", colors=LOSS_COLOUR)
    accuracy_axis.tick_params(axis="y", colors=ACCURACY_COLOUR)
    loss_axis.set_xlim(0, 1)
    if not any(loss < 0 for loss in train.losses):
        loss_axis.set_ylim(bottom=0)
    accuracy_axis.set_ylim(0, 102)
    accuracy_axis.grid(visible=False)
    accuracy_axis.set_visible(any(accuracy is not None for accuracy in train.accuracies))


def draw_losses(loss_axis: Axes, accuracy_axis: Axes, found: Profile, line: str, *, label: str, **style: float) -> None:
    """Losses and accuracies of one way; accuracies in percent, a gap where there is none."""
    percents = [nan if accuracy is None else 100 * accuracy for accuracy in found.accuracies]
    loss_axis.plot(found.alphas, found.losses, line, color=LOSS_COLOUR, label=label, **style)  # type: ignore[arg-type]
    accuracy_axis.plot(found.alphas, percents, line, color=ACCURACY_COLOUR, **style)  # type: ignore[arg-type]
