"""Checkpoints of anybody's PyTorch training: read without running what is in them, and matched to a model by name.

`load_into(model, read_checkpoint(path))` is all that most people need. See docs/checkpoints.md for the formats,
how to save so that it works, and what each error means.
"""

from sharpmin.checkpoints.matching import Fit, fit, load_into
from sharpmin.checkpoints.place import parse_place
from sharpmin.checkpoints.reading import Checkpoint, read_checkpoint

__all__ = ["Checkpoint", "Fit", "fit", "load_into", "parse_place", "read_checkpoint"]
