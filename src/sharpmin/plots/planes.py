"""Planes: contours of the loss, the lowest beta at the bottom, the checkpoints marked.

Where the loss spans more than a factor of ten the levels are spaced evenly in its logarithm. Points where it is NaN
or infinite are crossed out.
"""

from math import inf

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, StrMethodFormatter

from sharpmin.landscape.surface import Plane
from sharpmin.plots.style import figure_of

LEVELS = 24
LOGARITHMIC = 10  # ratio of the highest loss to the lowest from which on levels are logarithmic
FEW_DECADES = 1000  # the same ratio, up to which the scale also names 2 and 5 of each decade
MARK_COLOUR = "tab:red"
SIMILAR = 4  # ratio of the two axes' lengths up to which both get one scale


def plane(found: Plane, *, title: str = "") -> Figure:
    """Draw the contours of the loss on a plane.

    Args:
        found: what `sharpmin.landscape.plane` and its kin gave.
        title: above the axes.

    Returns:
        A figure, not registered with pyplot: its first axes the plane, its second the scale of colours.

    Example:
        >>> from sharpmin.landscape import plane as evaluate
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> f = Objective(torch.nn.Linear(4, 3), toy.train)
        >>> found = evaluate(f, f.theta, *torch.eye(15)[:2], grid=([-1, 0, 1], [0, 1]))
        >>> len(plane(found).axes)
        2

    """
    return figure_of(lambda axis: draw_plane(axis, found), title=title)


def draw_plane(axis: Axes, found: Plane) -> None:
    """Draw on axes; the scale of colours takes a part of them."""
    losses = np.array(found.losses, dtype=float)
    finite = np.isfinite(losses)
    axis.grid(visible=False)
    axis.locator_params(nbins=6)
    if min(losses.shape) > 1 and finite.any():
        contours(axis, found, np.ma.masked_where(~finite, losses))
    cross_out(axis, found, ~finite)
    draw_marks(axis, found)
    label_plane(axis, found)


def contours(axis: Axes, found: Plane, losses: np.ma.MaskedArray) -> None:
    """Filled contours, thin lines between them, and the scale of colours."""
    low, high = float(losses.min()), float(losses.max())
    logarithmic = low > 0 and high > LOGARITHMIC * low
    levels = levels_between(low, high, logarithmic=logarithmic)
    norm = LogNorm(levels[0], levels[-1]) if logarithmic else Normalize(levels[0], levels[-1])
    filled = axis.contourf(found.alphas, found.betas, losses, levels=levels, norm=norm, cmap="viridis")
    axis.contour(found.alphas, found.betas, losses, levels=levels, colors="white", linewidths=0.4, alpha=0.6)
    figure = axis.get_figure()
    assert figure is not None
    fine = high < FEW_DECADES * low
    ticks = LogLocator(subs=(1, 2, 5) if fine else (1,)) if logarithmic else MaxNLocator(6)
    scale = figure.colorbar(filled, ax=axis, label="Loss", ticks=ticks, format=StrMethodFormatter("{x:.4g}"))
    scale.minorticks_off()


def levels_between(low: float, high: float, *, logarithmic: bool) -> np.ndarray:
    """The edges of the colours, from the lowest loss to the highest; a flat loss gets a little room."""
    if high - low <= 1e-12 * abs(high):
        room = 1e-6 * (abs(high) or 1.0)
        low, high = low - room, high + room
    levels = (np.geomspace if logarithmic else np.linspace)(low, high, LEVELS)
    levels[0], levels[-1] = (
        np.nextafter(low, -inf),
        np.nextafter(high, inf),
    )  # rounding must lose no corner
    return levels


def cross_out(axis: Axes, found: Plane, where: np.ndarray) -> None:
    """A cross at every point whose loss is NaN or infinite."""
    rows, columns = np.nonzero(where)
    if len(rows):
        alphas, betas = np.array(found.alphas)[columns], np.array(found.betas)[rows]
        axis.plot(alphas, betas, "x", color="black", markersize=4, linestyle="none", label="NaN or infinite")
        axis.legend(loc="upper right", fontsize=8, frameon=True)


def draw_marks(axis: Axes, found: Plane) -> None:
    """The checkpoints with their names; those of a trajectory joined, and only its ends named."""
    alphas, betas = [mark.alpha for mark in found.marks], [mark.beta for mark in found.marks]
    trajectory = found.kind == "trajectory"
    axis.plot(alphas, betas, "o-" if trajectory else "o", color=MARK_COLOUR, markersize=3.5, linewidth=1)
    named = (found.marks[0], found.marks[-1]) if trajectory else found.marks
    middle = (min(found.alphas) + max(found.alphas)) / 2
    for mark in named:
        box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.75}
        side, shift = ("right", -5) if mark.alpha > middle else ("left", 5)  # towards the middle: a name stays inside
        axis.annotate(
            mark.name,
            (mark.alpha, mark.beta),
            xytext=(shift, 5),
            textcoords="offset points",
            horizontalalignment=side,
            fontsize=8,
            bbox=box,
        )


def label_plane(axis: Axes, found: Plane) -> None:
    """What the axes are, their limits, and one scale for both where that leaves a picture."""
    explained = (
        ["", ""] if found.explained is None else [f", {share:.1%} of the trajectory" for share in found.explained]
    )
    axis.set_xlabel(f"alpha   (|u| = {found.lengths[0]:.4g}{explained[0]})")
    axis.set_ylabel(f"beta   (|v| = {found.lengths[1]:.4g}{explained[1]})")
    for limits, values in ((axis.set_xlim, found.alphas), (axis.set_ylim, found.betas)):
        if len(values) > 1:
            limits(min(values), max(values))
    width = (max(found.alphas) - min(found.alphas)) * found.lengths[0]
    height = (max(found.betas) - min(found.betas)) * found.lengths[1]
    if 1 / SIMILAR < width / (height or inf) < SIMILAR:
        axis.set_aspect(found.lengths[1] / found.lengths[0])
