"""Results drawn with matplotlib: numbers in, a figure out; nothing is computed here but means over trials."""

from sharpmin.plots.batch_sizes import batch_sizes
from sharpmin.plots.curves import curve, draw_curve
from sharpmin.plots.density import density, draw_density
from sharpmin.plots.lines import draw_lines, lines
from sharpmin.plots.paths import draw_path, parametric, path, title
from sharpmin.plots.planes import draw_plane, plane
from sharpmin.plots.sharpness_along import sharpness_along
from sharpmin.plots.style import STYLE, on_axes, save
from sharpmin.plots.training import training_curves
from sharpmin.plots.warm_start import warm_start

__all__ = [
    "STYLE",
    "batch_sizes",
    "curve",
    "density",
    "draw_curve",
    "draw_density",
    "draw_lines",
    "draw_path",
    "draw_plane",
    "lines",
    "on_axes",
    "parametric",
    "path",
    "plane",
    "save",
    "sharpness_along",
    "title",
    "training_curves",
    "warm_start",
]
