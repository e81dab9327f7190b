"""The look of every figure, and how one is written."""

from collections.abc import Callable
from pathlib import Path as File
from textwrap import fill
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sharpmin.disk import written

LOSS_COLOUR, ACCURACY_COLOUR = "tab:blue", "tab:red"
STYLE: dict[Any, Any] = {
    "figure.figsize": (6.4, 4.4),
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "svg.hashsalt": "sharpmin",
}
LETTERS = 18  # of a footnote, to an inch


def figure_of(draw: Callable[[Axes], object], *, title: str = "") -> Figure:
    """A figure with one pair of axes, drawn on; it is not registered with pyplot and needs no closing."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(layout="constrained")
        axis = figure.add_subplot()
        draw(axis)
        axis.set_title(title, fontsize=9)
    return figure


def footnote(figure: Figure, text: str) -> None:
    """Small text below everything else, in as many lines as the figure's width takes."""
    figure.supxlabel(fill(text, int(LETTERS * figure.get_figwidth())), fontsize=7, color="dimgrey")


def on_axes(draw: Callable[[Axes], object], ax: Axes | None = None) -> Axes:
    """Draw on the axes given, or on those of a new figure of pyplot's, which a notebook shows."""
    if ax is None:
        from matplotlib import pyplot

        with matplotlib.rc_context(STYLE):
            ax = pyplot.subplots(layout="constrained")[1]
    draw(ax)
    return ax


def save(figure: Figure, *files: File) -> None:
    """Write a figure in the format of each file's suffix; the same numbers give the same bytes."""
    for file in files:
        undated = {"CreationDate": None} if file.suffix == ".pdf" else None
        with matplotlib.rc_context(STYLE), written(file) as beside:
            figure.savefig(beside, metadata=undated)
