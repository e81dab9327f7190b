"""Curves between two minimizers over the straight line they replace.

As on the other paths: loss on the left in blue, accuracy in percent on the right in red, the training set solid, the
test set dashed. The straight line is thin and pale.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sharpmin.landscape.curves import Curve
from sharpmin.plots.profile import ENDS, draw_profile, label_axes, legend_below
from sharpmin.plots.style import figure_of

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
    return legend_below(figure_of(lambda axis: draw_curve(axis, train, test, ends=ends), title=title), columns=2)


def draw_curve(loss_axis: Axes, train: Curve, test: Curve | None = None, *, ends: tuple[str, str] = ENDS) -> None:
    """Draw on axes: loss on these, accuracy on new ones to their right."""
    accuracy_axis = loss_axis.twinx()
    name = {"bezier": "Bezier curve", "polygon": "polygonal chain"}[train.config.kind]
    for found, line, part in ((train, "-", "train"), (test, "--", "test")):
        if found is not None:
            draw_profile(loss_axis, accuracy_axis, found.line, line, label=f"straight line, {part}", **PALE)
            draw_profile(loss_axis, accuracy_axis, found, line, label=f"{name}, {part}")
    label_axes(loss_axis, accuracy_axis, train, way=f"t   (0: {ends[0]};  1: {ends[1]})")
