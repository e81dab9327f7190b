"""Results drawn with matplotlib: numbers in, a figure out; nothing is computed here but means over trials."""

from sharpmin.plots.batch_sizes import batch_sizes, draw_batch_sizes
from sharpmin.plots.curves import curve, draw_curve
from sharpmin.plots.density import density, draw_density
from sharpmin.plots.lines import draw_lines, lines
from sharpmin.plots.paths import draw, draw_path, draw_published, label_axes, parametric, path, title
from sharpmin.plots.planes import draw_plane, plane
from sharpmin.plots.sharpness_along import draw_sharpness_along, sharpness_along
from sharpmin.plots.style import ACCURACY_COLOUR, LOSS_COLOUR, STYLE, on_axes, save
from sharpmin.plots.training import draw_training_curves, training_curves
from sharpmin.plots.warm_start import draw_accuracies, draw_sharpness, warm_start

__all__ = [
    "ACCURACY_COLOUR",
    "LOSS_COLOUR",
    "STYLE",
    "batch_sizes",
    "curve",
    "density",
    "draw",
    "draw_accuracies",
    "draw_batch_sizes",
    "draw_curve",
    "draw_density",
    "draw_lines",
    "draw_path",
    "draw_plane",
    "draw_published",
    "draw_sharpness",
    "draw_sharpness_along",
    "draw_training_curves",
    "label_axes",
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
