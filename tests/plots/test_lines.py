"""The figure of random lines shows every draw, their mean and their range; and results draw themselves."""

import subprocess
import sys

import numpy as np
import torch
from matplotlib.figure import Figure

from sharpmin import plots
from sharpmin.landscape import Lines, Path
from sharpmin.measures import Density

FOUND = Lines(
    alphas=(-1.0, 0.0, 1.0),
    losses=((3.0, 1.0, 2.0), (5.0, 1.0, 8.0)),
    accuracies=((None,) * 3,) * 2,
    lengths=(4.0, 5.0),
    normalisation="filter",
    seed=0,
    factor=None,
    weights=6,
    examples=5,
    batch_norm="running",
    batch_size=5,
    precision="float32",
)


def test_every_draw_their_mean_and_their_range_are_drawn():
    axis = plots.lines(FOUND, title="title").axes[0]
    drawn = [list(line.get_ydata()) for line in axis.lines if len(line.get_xdata()) == 3]
    assert drawn == [[3, 1, 2], [5, 1, 8], [4, 1, 5]]
    (shade,) = axis.collections
    corners = {tuple(point) for point in shade.get_paths()[0].vertices.tolist()}
    assert {(-1, 3), (-1, 5), (0, 1), (1, 2), (1, 8)} <= corners
    assert axis.get_title() == "title"
    assert "mean of 2 lines" in axis.get_legend().get_texts()[0].get_text()


def density():
    grid = torch.linspace(-1, 1, 9)
    names = ("integral", "sigma", "products", "size", "seconds", "seed", "batch_size")
    tensors = {"grid": grid, "density": grid.exp(), "standard_error": 0.1 * grid.exp()}
    words = {"matrix": "hessian", "method": "", "names": (), "batch_norm": "running", "precision": "float32"}
    return Density(**tensors, nodes=grid[None], weights=grid[None], **dict.fromkeys(names, 1), **words)


def test_results_draw_themselves_on_given_axes():
    curve = Path("line", (0.0, 0.5, 1.0), (0.5, 0.1, 0.3), (0.8, None, 0.9), 10, "running", 10, "float32")
    for found, heights in ((FOUND, (3, 1, 2)), (curve, (0.5, 0.1, 0.3)), (density(), None)):
        mine = Figure().add_subplot()
        assert found.plot(ax=mine) is mine
        np.testing.assert_allclose(mine.lines[0].get_ydata(), density().density if heights is None else heights)


def test_importing_the_geometry_does_not_import_matplotlib():
    code = "import sys, sharpmin.landscape, sharpmin.measures; print('matplotlib' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
