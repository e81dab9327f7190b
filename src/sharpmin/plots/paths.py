"""Paths between two minimizers, drawn as in the authors' script.

Cross-entropy on the left axis in blue, accuracy in percent on the right in red, the training set solid, the test set
dashed.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sharpmin.data.record import titled
from sharpmin.history import epochs_in_words
from sharpmin.landscape.paths import Path
from sharpmin.paper.parametric_plot import ParametricPlot
from sharpmin.paper.published import PublishedCurve
from sharpmin.plots.profile import ENDS, draw_profile, label_axes, legend_below
from sharpmin.plots.style import figure_of


def parametric(plot: ParametricPlot, *, published: PublishedCurve | None = None) -> Figure:
    """Draw a parametric plot of the paper: loss and accuracy from the small-batch to the large-batch minimizer.

    Args:
        plot: the numbers, as `sharpmin.paper.parametric.compute` or `parametric_plot.load` gives them.
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
    ends: tuple[str, str] = ENDS,
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

    def draw(axis: Axes) -> None:
        draw_path(axis, train, test, published=published, ends=ends, loss_label=loss_label)

    return legend_below(figure_of(draw, title=title), columns=4)


def draw_path(
    loss_axis: Axes,
    train: Path,
    test: Path | None = None,
    *,
    published: PublishedCurve | None = None,
    ends: tuple[str, str] = ENDS,
    loss_label: str = "Loss",
) -> None:
    """Draw on axes: loss on these, accuracy on new ones to their right."""
    accuracy_axis = loss_axis.twinx()
    if published is not None:
        draw_published(loss_axis, accuracy_axis, published)
    draw_profile(loss_axis, accuracy_axis, train, "-", label="Train")
    if test is not None:
        draw_profile(loss_axis, accuracy_axis, test, "--", label="Test")
    label_axes(loss_axis, accuracy_axis, train, way=f"alpha   (0: {ends[0]};  1: {ends[1]})", loss_label=loss_label)
    for minimizer in (0, 1):
        loss_axis.axvline(minimizer, color="grey", linewidth=0.8, linestyle=":")


def draw_published(loss_axis: Axes, accuracy_axis: Axes, curve: PublishedCurve) -> None:
    """The authors' four curves, thin and pale."""
    for part, line in (("train", "-"), ("test", "--")):
        losses, percents = getattr(curve, f"{part}_loss"), getattr(curve, f"{part}_accuracy")
        label = f"{part.capitalize()}, published"
        loss_axis.plot(curve.alphas, losses, line, color="navy", linewidth=0.9, alpha=0.55, label=label)
        accuracy_axis.plot(curve.alphas, percents, line, color="darkred", linewidth=0.9, alpha=0.55)


def title(plot: ParametricPlot) -> str:
    """Network, data and whatever makes this less than the whole job."""
    sizes = {"training": plot.job.train_size, "test": plot.job.test_size}
    subset = "".join(f", {size} {part} examples" for part, size in sizes.items() if size)
    epochs = epochs_in_words(plot.final["small_batch"].epoch, plot.final["large_batch"].epoch)
    arc = ", curved path" if plot.job.path == "arc" else ""
    return f"{plot.job.network} on {titled(plot.data)}{subset}, {epochs}{arc}"
