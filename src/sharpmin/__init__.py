"""sharpmin: did this run land in a sharp minimum, and is that why it generalises worse?

The measurements of Keskar et al., "On Large-Batch Training for Deep Learning: Generalization Gap and Sharp
Minima" (ICLR 2017), for PyTorch.
"""

from sharpmin.landscape.paths import Path, path
from sharpmin.objective import Measurement, Objective, Scored, classification
from sharpmin.training import Epoch, State, TrainConfig, train

__all__ = [
    "Epoch",
    "Measurement",
    "Objective",
    "Path",
    "Scored",
    "State",
    "TrainConfig",
    "classification",
    "path",
    "train",
]
