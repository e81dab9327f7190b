"""The points of a landscape, evaluated a few at a time over one reading of the data.

A group of eight brings the cost of reading the data down to an eighth, and is handed on as soon as it is finished: who
keeps it loses at most one group to a kill. Held at once are the vectors of a group and what they are sums of, fewer
where they are very long (see `Objective.measure_groups`), and nothing grows with the number of points.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from torch import Tensor

from sharpmin.combination import Combination
from sharpmin.measurement import Measurement
from sharpmin.objective import Objective

TOGETHER = 8
After: TypeAlias = Callable[[Sequence[Measurement]], None]


def nothing(found: Sequence[Measurement]) -> None:
    """Keep nothing."""


def measured(
    objective: Objective,
    theta: Callable[[int], Tensor | Combination],
    points: int,
    *,
    buffers: Callable[[int], Mapping[str, Tensor]] | None = None,
    found: Sequence[Measurement] = (),
    after: After = nothing,
    tell: Callable[[int, Measurement], None] = lambda number, one: None,
) -> list[Measurement]:
    """Evaluate f at every point of a list, in order.

    Args:
        objective: f.
        theta: makes the weights [n] of a point from its number, counted from 0; or with what they are a sum of.
        points: how many there are.
        buffers: those of a point, where they are not the model's own.
        found: the first points, measured earlier; they are not measured again.
        after: given everything measured so far, after each group.
        tell: given the number of points done and the last of them, for each.

    Example:
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> f = Objective(torch.nn.Linear(4, 3), toy.train)
        >>> len(measured(f, lambda number: f.theta + number, 3))
        3

    """
    done = list(found)
    left = range(len(done), points)
    own = None if buffers is None else map(buffers, left)
    for group in objective.measure_groups(map(theta, left), buffers=own, together=TOGETHER):
        done += group
        after(done)
        for number, one in enumerate(group, len(done) - len(group)):
            tell(number + 1, one)
    return done
