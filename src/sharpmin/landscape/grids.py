"""Where a plane or a line is evaluated.

A range can be found: the loss is followed along each axis, both ways, until it is `factor` times the loss at the centre
(or NaN or infinite). From a step of 1 the distance is doubled or halved until it is within a factor of two, then halved
three times more; the outer end of the last interval is taken, and of the two ways the longer one. So each way the loss
grows so much within the range, and along each axis one end, where it has, overshoots by at most an eighth. At the end
of the shorter way it may have fallen again, if it does not grow steadily; and what it does between the distances tried,
a power of two apart, is not seen.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from math import isfinite
from typing import NamedTuple

import numpy as np
from torch import Tensor

from sharpmin.errors import UsageError
from sharpmin.landscape.frames import Frame, Mark
from sharpmin.objective import Objective
from sharpmin.progress import Progress, silent

POINTS = 25
LONGEST, SHORTEST = 2.0**20, 2.0**-20
TRIED = tuple(2.0**k for k in (*range(21), *range(-1, -21, -1)))  # outwards, then inwards
REFINEMENTS = 3
BuffersAt = Callable[[float, float], Mapping[str, Tensor]]


class Grid(NamedTuple):
    """The coordinates of a plane.

    Attributes:
        alphas: along u: the columns.
        betas: along v: the rows.
        factor: by which the loss grows along the axes, both ways, where the range was found by that.

    """

    alphas: tuple[float, ...]
    betas: tuple[float, ...]
    factor: float | None = None


def even(half_width: float, points: int = POINTS) -> tuple[float, ...]:
    """Evenly spaced values from -half_width to half_width; an odd number of them contains 0 exactly.

    Example:
        >>> even(0.5, 5)
        (-0.5, -0.25, 0.0, 0.25, 0.5)

    """
    check_points(points)
    return tuple(half_width * (2 * i - points + 1) / (points - 1) for i in range(points))


def between(low: float, high: float, points: int = POINTS) -> tuple[float, ...]:
    """Evenly spaced values from low to high."""
    check_points(points)
    if not (isfinite(low) and isfinite(high) and low < high):
        raise UsageError(f"a range from {low:g} to {high:g} is empty: give a smaller number first")
    return even(high, points) if low == -high else tuple(np.linspace(low, high, points).tolist())


def check_points(points: int) -> None:
    """Raise a UsageError for fewer than two."""
    if points < 2:
        raise UsageError(f"{points} points do not make an axis: ask for at least 2")


def around(marks: Iterable[Mark], *, points: tuple[int, int] = (POINTS, POINTS), margin: float = 0.25) -> Grid:
    """A grid with all of the marks in it, and beyond them a margin in units of their extent."""
    places = [(mark.alpha, mark.beta) for mark in marks]

    def axis(values: Sequence[float], count: int) -> tuple[float, ...]:
        beyond = margin * (max(values) - min(values))
        return between(min(values) - beyond, max(values) + beyond, count)

    return Grid(axis([alpha for alpha, _ in places], points[0]), axis([beta for _, beta in places], points[1]))


def grown(
    objective: Objective,
    frame: Frame,
    *,
    factor: float = 10.0,
    points: tuple[int, int] = (POINTS, POINTS),
    buffers: BuffersAt | None = None,
    progress: Progress = silent,
) -> Grid:
    """Find the range in which the loss grows by a factor along both axes of a plane, both ways.

    At one end of each axis the loss has grown so much; at the other it has at or before the end.

    Args:
        objective: f.
        frame: the plane; its centre is the middle of the grid.
        factor: the loss to be reached over the loss at the centre.
        points: along alpha and along beta.
        buffers: as in `sharpmin.landscape.surface`.
        progress: told the evaluations done.

    Raises:
        UsageError: a factor not above 1, a loss at the centre that is not above 0 or not finite, a loss that one way
            has not grown at any power of two tried, from 2^20 down to 2^-20.

    Example:
        >>> from sharpmin import data
        >>> from sharpmin.landscape import random_frame
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> f = Objective(torch.nn.Linear(4, 3), toy.train)
        >>> len(grown(f, random_frame(f, f.theta), factor=2).alphas)
        25

    """
    loss = followed(objective, frame.theta, buffers=buffers, progress=progress)
    limit = times(factor, loss(0.0, 0.0))
    along_u = half_width(lambda t: loss(t, 0.0), limit)
    along_v = half_width(lambda t: loss(0.0, t), limit)
    return Grid(even(along_u, points[0]), even(along_v, points[1]), factor)


def followed(
    objective: Objective,
    theta: Callable[[float, float], Tensor],
    *,
    buffers: BuffersAt | None = None,
    progress: Progress = silent,
) -> Callable[[float, float], float]:
    """F on a plane as a function of its coordinates, telling each value."""
    counted = count(1)

    def loss(alpha: float, beta: float) -> float:
        f = objective if buffers is None else objective.with_buffers(buffers(alpha, beta))
        value = f.value(theta(alpha, beta))
        note = f"at {alpha:+.4g}, {beta:+.4g}: loss {value:.4g}"
        progress("range", next(counted), None, unit="evaluations", note=note)
        return value

    return loss


def times(factor: float, loss: float) -> float:
    """The loss to be reached."""
    if not factor > 1:
        raise UsageError(f"a loss that grows by a factor of {factor:g} does not grow: give one above 1")
    if not (isfinite(loss) and loss > 0):
        raise UsageError(f"the loss at the centre is {loss:g}, and {factor:g} times that is no limit: give the range")
    return factor * loss


def half_width(loss: Callable[[float], float], limit: float) -> float:
    """How far to go until loss(t) and loss(-t) have reached the limit: the longer of the two."""
    return max(reach(loss, limit), reach(lambda t: loss(-t), limit))


def reach(loss: Callable[[float], float], limit: float) -> float:
    """A t > 0 at which loss(t) reaches the limit or is NaN, and, an eighth nearer, does not.

    Where the loss grows steadily that is its only crossing. Otherwise it is the first met on the way from 1: inwards if
    the limit is reached at 1, else outwards, and then inwards if it is reached nowhere outwards.

    Example:
        >>> reach(lambda t: t**2, 9.0)
        3.0

    """

    def reached(t: float) -> bool:
        return not loss(t) < limit

    high = next((t for t in TRIED if reached(t)), None)
    if high is None:
        raise UsageError(
            f"the loss is below {limit:g} at every power of two from {SHORTEST:g} to {LONGEST:g} times the direction: "
            "give the range"
        )
    while SHORTEST < high <= 1 and reached(high / 2):
        high /= 2
    low = high / 2
    for _ in range(REFINEMENTS):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
