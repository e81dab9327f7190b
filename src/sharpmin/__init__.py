"""sharpmin: did this run land in a sharp minimum, and is that why it generalises worse?

The measurements of Keskar et al., "On Large-Batch Training for Deep Learning: Generalization Gap and Sharp
Minima" (ICLR 2017), for PyTorch. The names below are imported when first used, so that `sharpmin --help` does
not wait for PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sharpmin.history import Epoch, State
    from sharpmin.landscape.paths import Path, path
    from sharpmin.objective import Measurement, Objective, Scored, classification
    from sharpmin.tasks import Task
    from sharpmin.train_config import TrainConfig
    from sharpmin.training import train

__all__ = [
    "Epoch",
    "Measurement",
    "Objective",
    "Path",
    "Scored",
    "State",
    "Task",
    "TrainConfig",
    "classification",
    "path",
    "train",
]

HOMES = (
    "sharpmin.objective",
    "sharpmin.landscape.paths",
    "sharpmin.tasks",
    "sharpmin.train_config",
    "sharpmin.training",
    "sharpmin.history",
)


def __getattr__(name: str) -> Any:
    """Import a public name from its home."""
    if name in __all__:
        for home in map(import_module, HOMES):
            if hasattr(home, name):
                return getattr(home, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
