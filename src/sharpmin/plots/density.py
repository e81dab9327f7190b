"""Spectral densities."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sharpmin.measures import Density
from sharpmin.plots.style import LOSS_COLOUR, figure_of


def density(found: Density, *, title: str = "") -> Figure:
    """Draw a spectral density, its height on a logarithmic axis.

    Args:
        found: what `sharpmin.measures.density` gave.
        title: above the axes.

    Returns:
        A figure with one pair of axes, not registered with pyplot; shaded, one standard error over the runs.

    Source: Ghorbani, Krishnan and Xiao 2019, Figure 2.

    """
    return figure_of(lambda axis: draw_density(axis, found), title=title)


def draw_density(axis: Axes, found: Density) -> None:
    """Draw on axes."""
    grid, height, error = (t.numpy() for t in (found.grid, found.density, found.standard_error))
    floor = height.max() * 1e-6
    axis.fill_between(grid, (height - error).clip(floor), (height + error).clip(floor), color=LOSS_COLOUR, alpha=0.25)
    axis.semilogy(grid, height.clip(floor), color=LOSS_COLOUR)
    axis.set_xlabel(f"eigenvalue of the {found.matrix.replace('hessian', 'Hessian')}")
    axis.set_ylabel("share of the eigenvalues per unit")
