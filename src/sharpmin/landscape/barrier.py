"""How high the loss rises on the straight line between two minimizers.

    height            max { f(theta(alpha)) - [(1 - alpha) f(a) + alpha f(b)] : 0 <= alpha <= 1 }
    above_higher_end  max { f(theta(alpha)) : 0 <= alpha <= 1 } - max { f(a), f(b) }

with theta(alpha) = alpha b + (1 - alpha) a. The height is the barrier of Entezari et al. 2022, definition 1. Frankle et
al. 2020 subtract the mean of the two ends instead of the line between them: the same where both ends are equally low.
The second number does not count a slope from one end up to the other as a barrier, so it is never the larger one.

Both are maxima over the alphas looked at: lower bounds of the maxima over all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from sharpmin.errors import UsageError
from sharpmin.landscape.paths import path
from sharpmin.objective import Objective
from sharpmin.progress import Progress, silent


class Profile(Protocol):
    """Losses along a way from one minimizer, at 0, to the other, at 1: a `Path` or a `Curve`."""

    @property
    def alphas(self) -> tuple[float, ...]:
        """From 0 to 1."""

    @property
    def losses(self) -> tuple[float, ...]:
        """At each alpha."""

    @property
    def accuracies(self) -> tuple[float | None, ...]:
        """Fractions, or None."""


@dataclass(frozen=True)
class Barrier:
    """The barrier on the way between two minimizers, and the way.

    Attributes:
        height: of the loss above the line between the ends' losses; 0 where it nowhere rises above it, NaN where a
            loss is NaN.
        alpha: where that is.
        above_higher_end: the highest loss minus that of the higher end; 0 or more.
        error_height: the height of the fraction misclassified; None where some accuracy is.
        path: every loss and accuracy, with the policy and batch size they were computed under.

    """

    height: float
    alpha: float
    above_higher_end: float
    error_height: float | None
    path: Profile


def barrier(
    objective: Objective,
    theta_a: Tensor,
    theta_b: Tensor,
    *,
    alphas: Sequence[float] | None = None,
    buffers: tuple[Mapping[str, Tensor], Mapping[str, Tensor]] | None = None,
    progress: Progress = silent,
) -> Barrier:
    """Measure the barrier on the straight line from theta_a to theta_b.

    Under `batch_norm="recalibrate"` the statistics of BatchNorm are estimated at every point of the line, under
    "running" the stored ones are interpolated: the two barriers differ, and the second is usually the higher.

    Args:
        objective: f.
        theta_a: the weights at alpha = 0, [n].
        theta_b: the weights at alpha = 1, [n].
        alphas: where to evaluate, both ends among them; by default 25 points from 0 to 1.
        buffers: those of the two ends, where they differ from the model's own; see `path`.
        progress: told the points done.

    Returns:
        The barrier in loss and in error, with the path.

    Raises:
        UsageError: alphas outside [0, 1] or without an end, minimizers of different sizes.

    Example:
        >>> import torch
        >>> from sharpmin import Objective, data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> f = Objective(torch.nn.Linear(4, 3), toy.train)
        >>> barrier(f, torch.zeros(15), torch.ones(15)).height < 1e-12  # f is convex
        True

    Source: Entezari et al. 2022, definition 1; Frankle et al. 2020, section 2.

    """
    alphas = unit_grid() if alphas is None else tuple(sorted(float(alpha) for alpha in alphas))
    if not alphas or (alphas[0], alphas[-1]) != (0, 1):
        raise UsageError("a barrier lies between two ends: give alphas from 0 to 1, both among them")
    found = path(objective, theta_a, theta_b, alphas=alphas, buffers=buffers, progress=progress)
    return barrier_of(found)


def barrier_of(found: Profile) -> Barrier:
    """The barrier on a path or curve that was evaluated from one end to the other."""
    above = rises(found.alphas, found.losses)
    top = int(np.argmax(above))  # the first NaN, where there is one
    errors = [1 - accuracy for accuracy in found.accuracies if accuracy is not None]
    return Barrier(
        height=float(above[top]),
        alpha=found.alphas[top],
        above_higher_end=float(np.max(found.losses) - np.maximum(found.losses[0], found.losses[-1])),
        error_height=float(rises(found.alphas, errors).max()) if len(errors) == len(found.alphas) else None,
        path=found,
    )


def rises(alphas: Sequence[float], values: Sequence[float]) -> np.ndarray:
    """How far each value lies above the line from the first, at alpha = 0, to the last, at alpha = 1.

    Example:
        >>> rises([0, 0.5, 1], [1.0, 5.0, 3.0]).tolist()
        [0.0, 3.0, 0.0]

    """
    alpha, value = np.asarray(alphas, dtype=float), np.asarray(values, dtype=float)
    between = (1 - alpha) * value[0] + alpha * value[-1]
    between[0], between[-1] = value[0], value[-1]  # 0 times infinity is not a number
    return np.where(value == between, 0.0, value - between)


def unit_grid(points: int = 25) -> tuple[float, ...]:
    """`points` values from 0 to 1, both included.

    Raises:
        UsageError: fewer than 2.

    """
    if points < 2:
        raise UsageError(f"{points} points do not make a curve: ask for at least 2")
    return tuple(np.linspace(0, 1, points).tolist())
