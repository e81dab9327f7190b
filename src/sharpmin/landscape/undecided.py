"""The warning where BatchNorm uses stored statistics off the checkpoints they fit, and nobody chose that."""

import sys
import warnings

from sharpmin.objective import Objective

UNDECIDED = (
    'this model has BatchNorm with running statistics and no policy was chosen, so "running" is used. "running" '
    "normalises with stored statistics, kept or interpolated, which fit the checkpoints that they come from and no "
    'other point; "recalibrate" estimates them at every point from the data (one more pass each); "batch" normalises '
    "with the evaluation batch. Choose one with batch_norm"
)


def warn_undecided(objective: Objective) -> None:
    """Warn where f has running statistics and no policy was chosen, at the line that called `sharpmin.landscape`."""
    if objective.undecided:
        depth = 1
        while sys._getframe(depth).f_globals.get("__package__") == __package__:
            depth += 1
        warnings.warn(UNDECIDED, stacklevel=depth + 1)
