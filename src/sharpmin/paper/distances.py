"""How far training went: the distance of either minimizer from the starting point that they share.

Keskar et al. 2017, section 2.2.1, look for evidence that large-batch methods lack the small-batch ones' drift away from
the start, and report |x_SB - x0| / |x_LB - x0| in the range of 3 to 10.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sharpmin.paper.jobs import REGIMES
from sharpmin.runs import Run
from sharpmin.subjects import settings_of

PUBLISHED = (3.0, 10.0)


@dataclass(frozen=True)
class Distances:
    """Distances of one trial, in the Euclidean norm over all trainable weights.

    Attributes:
        small_batch: |x_SB - x0|.
        large_batch: |x_LB - x0|.
        between: |x_SB - x_LB|.

    """

    small_batch: float
    large_batch: float
    between: float

    @property
    def ratio(self) -> float:
        """|x_SB - x0| / |x_LB - x0|; infinite where the large-batch training did not move."""
        return self.small_batch / self.large_batch if self.large_batch else torch.inf


def distances(folder: Path) -> Distances:
    """The distances of a finished run.

    Raises:
        RunError: not a finished run, or its starting point cannot be read.

    """
    settings_of(folder)
    run = Run(folder)
    start = run.load("x0")[0]
    small, large = (run.load(name)[0] for name in REGIMES.values())
    return Distances(apart(small, start), apart(large, start), apart(small, large))


def apart(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    """|a - b| over the named tensors, summed in float64.

    Example:
        >>> apart({"w": torch.tensor([3.0]), "b": torch.tensor([4.0])}, {"w": torch.zeros(1), "b": torch.zeros(1)})
        5.0

    """
    return sum(float((a[name].double() - b[name].double()).square().sum()) for name in b) ** 0.5
