"""Rows of several trials, drawn as their mean with the sample standard deviation as bars."""

from collections.abc import Callable, Iterable
from math import isfinite, nan
from typing import Any

from matplotlib.axes import Axes

from sharpmin.spread import Spread


def spread(rows: Iterable[Any], *, at: Callable[[Any], float], of: Callable[[Any], float | None]) -> list[list[float]]:
    """Where, the mean there, and the standard deviation, 0 of one trial; NaN where a trial has no finite number.

    Args:
        rows: of all trials.
        at: what rows are gathered by.
        of: the number that is averaged.

    Example:
        >>> spread([(1, 2.0), (1, 4.0), (3, None)], at=lambda row: row[0], of=lambda row: row[1])
        [[1, 3], [3.0, nan], [1.4142135623730951, nan]]

    """
    found: dict[float, list[float]] = {}
    for row in rows:
        value = of(row)
        found.setdefault(at(row), []).append(nan if value is None else value)
    places = sorted(found)
    several = [Spread(tuple(found[place])) for place in places]
    means = [one.mean if isfinite(one.mean) else nan for one in several]
    deviations = [one.deviation for one in several]
    return [places, means, [0 * m if d is None else d for m, d in zip(means, deviations, strict=True)]]


def draw_spread(axis: Axes, found: list[list[float]], line: str, *, colour: str, label: str) -> None:
    """Draw on axes; bars only where there are several trials."""
    places, means, deviations = found
    bars = deviations if any(deviations) else None
    axis.errorbar(places, means, bars, fmt=line, color=colour, label=label, markersize=3.5, capsize=2, elinewidth=0.9)
