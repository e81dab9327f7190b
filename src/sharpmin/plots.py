"""Results drawn with matplotlib: each function takes numbers and gives Axes; nothing is computed here.

The parametric plot looks as in the authors' script: cross-entropy on the left axis in blue, accuracy in percent
on the right in red, the training set solid, the test set dashed.
"""

from pathlib import Path as File

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sharpmin.paper.parametric import ParametricPlot
from sharpmin.paper.published import PublishedCurve
from sharpmin.runs import written

LOSS_COLOUR, ACCURACY_COLOUR = "tab:blue", "tab:red"
STYLE = {
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


def parametric(plot: ParametricPlot, *, published: PublishedCurve | None = None) -> Figure:
    """Draw loss and accuracy along the path between the small-batch and the large-batch minimizer.

    Args:
        plot: the numbers.
        published: the authors' curve, drawn thin behind ours.

    Returns:
        A figure with two axes; it is not registered with pyplot and needs no closing.

    Source: Keskar et al. 2017, Figures 3 and 7.

    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(layout="constrained")
        loss_axis = figure.add_subplot()
        accuracy_axis = loss_axis.twinx()
        if published is not None:
            draw_published(loss_axis, accuracy_axis, published)
        draw_curves(loss_axis, accuracy_axis, plot)
        label_axes(loss_axis, accuracy_axis, plot)
        loss_axis.set_title(title(plot), fontsize=9)
        handles, labels = loss_axis.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9)
    return figure


def draw_curves(loss_axis: Axes, accuracy_axis: Axes, plot: ParametricPlot) -> None:
    """Our four curves."""
    alphas = [point.alpha for point in plot.points]
    for part, line in (("train", "-"), ("test", "--")):
        losses = [getattr(point, f"{part}_loss") for point in plot.points]
        percents = [100 * getattr(point, f"{part}_accuracy") for point in plot.points]
        loss_axis.plot(alphas, losses, line, color=LOSS_COLOUR, label=part.capitalize())
        accuracy_axis.plot(alphas, percents, line, color=ACCURACY_COLOUR)


def draw_published(loss_axis: Axes, accuracy_axis: Axes, curve: PublishedCurve) -> None:
    """The authors' four curves, thin and pale."""
    for part, line in (("train", "-"), ("test", "--")):
        pale = {"linewidth": 0.9, "alpha": 0.55, "linestyle": line}
        losses, percents = getattr(curve, f"{part}_loss"), getattr(curve, f"{part}_accuracy")
        loss_axis.plot(curve.alphas, losses, color="navy", label=f"{part.capitalize()}, published", **pale)
        accuracy_axis.plot(curve.alphas, percents, color="darkred", **pale)


def label_axes(loss_axis: Axes, accuracy_axis: Axes, plot: ParametricPlot) -> None:
    """Axis labels, colours, limits, and where the two minimizers are."""
    small, large = plot.job.small_batch.batch_size, plot.job.large_batch.batch_size
    loss_axis.set_xlabel(f"alpha   (0: small batch, {small};  1: large batch, {large})")
    loss_axis.set_ylabel("Cross-entropy", color=LOSS_COLOUR)
    accuracy_axis.set_ylabel("Accuracy (%)", color=ACCURACY_COLOUR)
    loss_axis.tick_params(axis="y", colors=LOSS_COLOUR)
    accuracy_axis.tick_params(axis="y", colors=ACCURACY_COLOUR)
    loss_axis.set_xlim(plot.points[0].alpha, plot.points[-1].alpha)
    loss_axis.set_ylim(bottom=0)
    accuracy_axis.set_ylim(0, 102)
    accuracy_axis.grid(visible=False)
    for minimizer in (0, 1):
        loss_axis.axvline(minimizer, color="grey", linewidth=0.8, linestyle=":")


def title(plot: ParametricPlot) -> str:
    """Network, data and whatever makes this less than the whole job."""
    data = f"{plot.data['name']}{' (made up, not real data)' if plot.data['synthetic'] else ''}"
    subset = f", {plot.job.train_size} training examples" if plot.job.train_size else ""
    epochs = f"{plot.final['small_batch'].epoch} and {plot.final['large_batch'].epoch} epochs"
    arc = ", curved path" if plot.job.path == "arc" else ""
    return f"{plot.job.network} on {data}{subset}, {epochs}{arc}"


def save(figure: Figure, *files: File) -> None:
    """Write a figure in the format of each file's suffix; the same numbers give the same bytes."""
    for file in files:
        undated = {"CreationDate": None} if file.suffix == ".pdf" else None
        with matplotlib.rc_context(STYLE), written(file) as beside:
            figure.savefig(beside, metadata=undated)
