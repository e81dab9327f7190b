"""Results drawn with matplotlib: each function takes numbers and gives Axes; nothing is computed here.

The parametric plot looks as in the authors' script: cross-entropy on the left axis in blue, accuracy in percent
on the right in red, the training set solid, the test set dashed.
"""

from math import nan
from pathlib import Path as File
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sharpmin.landscape.paths import Path
from sharpmin.measures import Density
from sharpmin.paper.parametric import ParametricPlot
from sharpmin.paper.published import PublishedCurve
from sharpmin.runs import written

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


def parametric(plot: ParametricPlot, *, published: PublishedCurve | None = None) -> Figure:
    """Draw a parametric plot of the paper: loss and accuracy from the small-batch to the large-batch minimizer.

    Args:
        plot: the numbers, as `sharpmin.paper.parametric.compute` or `load` gives them.
        published: the authors' curve, drawn thin beside ours.

    Returns:
        A figure with two axes; it is not registered with pyplot and needs no closing.

    Source: Keskar et al. 2017, Figures 3 and 7.

    """
    job = plot.job
    ends = (f"small batch, {job.small_batch.batch_size}", f"large batch, {job.large_batch.batch_size}")
    return path(
        plot.curve("train"),
        plot.curve("test"),
        published=published,
        title=title(plot),
        ends=ends,
        loss_label="Cross-entropy",
    )


def path(
    train: Path,
    test: Path | None = None,
    *,
    published: PublishedCurve | None = None,
    title: str = "",
    ends: tuple[str, str] = ("theta_a", "theta_b"),
    loss_label: str = "Loss",
) -> Figure:
    """Draw loss (left axis) and, where there is one, accuracy (right axis) along a path.

    Args:
        train: drawn solid.
        test: the same path on the test set, drawn dashed.
        published: the authors' curve, drawn thin beside.
        title: above the axes.
        ends: what lies at alpha = 0 and at alpha = 1.
        loss_label: of the left axis.

    Returns:
        A figure with two axes, not registered with pyplot.

    Example:
        >>> from sharpmin.landscape import Path
        >>> line = Path("line", (0.0, 1.0), (0.5, 0.1), (0.8, 0.9), 10, "running", 10, "float32")
        >>> len(path(line).axes)
        2

    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(layout="constrained")
        loss_axis = figure.add_subplot()
        accuracy_axis = loss_axis.twinx()
        if published is not None:
            draw_published(loss_axis, accuracy_axis, published)
        draw(loss_axis, accuracy_axis, train, "-", label="Train")
        if test is not None:
            draw(loss_axis, accuracy_axis, test, "--", label="Test")
        label_axes(loss_axis, accuracy_axis, train, ends)
        loss_axis.set_ylabel(loss_label, color=LOSS_COLOUR)
        accuracy_axis.set_visible(any(accuracy is not None for accuracy in train.accuracies))
        loss_axis.set_title(title, fontsize=9)
        handles, labels = loss_axis.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9)
    return figure


def draw(loss_axis: Axes, accuracy_axis: Axes, curve: Path, line: str, *, label: str) -> None:
    """One path's two curves; accuracies in percent, a gap where there is none."""
    percents = [nan if accuracy is None else 100 * accuracy for accuracy in curve.accuracies]
    loss_axis.plot(curve.alphas, curve.losses, line, color=LOSS_COLOUR, label=label)
    accuracy_axis.plot(curve.alphas, percents, line, color=ACCURACY_COLOUR)


def draw_published(loss_axis: Axes, accuracy_axis: Axes, curve: PublishedCurve) -> None:
    """The authors' four curves, thin and pale."""
    for part, line in (("train", "-"), ("test", "--")):
        losses, percents = getattr(curve, f"{part}_loss"), getattr(curve, f"{part}_accuracy")
        label = f"{part.capitalize()}, published"
        loss_axis.plot(curve.alphas, losses, line, color="navy", linewidth=0.9, alpha=0.55, label=label)
        accuracy_axis.plot(curve.alphas, percents, line, color="darkred", linewidth=0.9, alpha=0.55)


def label_axes(loss_axis: Axes, accuracy_axis: Axes, curve: Path, ends: tuple[str, str]) -> None:
    """Axis labels, colours, limits, and where the two minimizers are."""
    loss_axis.set_xlabel(f"alpha   (0: {ends[0]};  1: {ends[1]})")
    accuracy_axis.set_ylabel("Accuracy (%)", color=ACCURACY_COLOUR)
    loss_axis.tick_params(axis="y", colors=LOSS_COLOUR)
    accuracy_axis.tick_params(axis="y", colors=ACCURACY_COLOUR)
    if len(curve.alphas) > 1:
        loss_axis.set_xlim(curve.alphas[0], curve.alphas[-1])
    if not any(loss < 0 for loss in curve.losses):
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


def density(found: Density, *, title: str = "") -> Figure:
    """Draw a spectral density, its height on a logarithmic axis.

    Args:
        found: what `sharpmin.measures.density` gave.
        title: above the axes.

    Returns:
        A figure with one pair of axes, not registered with pyplot; shaded, one standard error over the runs.

    Source: Ghorbani, Krishnan and Xiao 2019, Figure 2.

    """
    grid, height, error = (t.numpy() for t in (found.grid, found.density, found.standard_error))
    floor = height.max() * 1e-6
    with matplotlib.rc_context(STYLE):
        figure = Figure(layout="constrained")
        axis = figure.add_subplot()
        axis.fill_between(
            grid, (height - error).clip(floor), (height + error).clip(floor), color=LOSS_COLOUR, alpha=0.25
        )
        axis.semilogy(grid, height.clip(floor), color=LOSS_COLOUR)
        axis.set_xlabel(f"eigenvalue of the {found.matrix.replace('hessian', 'Hessian')}")
        axis.set_ylabel("share of the eigenvalues per unit")
        axis.set_title(title, fontsize=9)
    return figure


def save(figure: Figure, *files: File) -> None:
    """Write a figure in the format of each file's suffix; the same numbers give the same bytes."""
    for file in files:
        undated = {"CreationDate": None} if file.suffix == ".pdf" else None
        with matplotlib.rc_context(STYLE), written(file) as beside:
            figure.savefig(beside, metadata=undated)
