"""A plane as filled contours: inline SVG, dark where the loss is low.

The colours are cividis, made to look alike to readers with and without colour vision deficiency; each line between two
of them is drawn too, and the bar beside says its value.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np
from contourpy import FillType, contour_generator
from matplotlib import colormaps
from matplotlib.colors import to_hex

from sharpmin.report.axes import Axis, decades, rounds
from sharpmin.report.chart import BOTTOM, LEFT, RIGHT, TOP, Frame, grid
from sharpmin.spread import number

BANDS = 14
BAR = 92  # room at the right for the bar
WIDE = 40.0  # ratio of the highest loss to the lowest from which on the scale is logarithmic
Mark = tuple[str, float, float]


@dataclass(frozen=True)
class Heights:
    """Values over a grid on the scale they are drawn on.

    Attributes:
        values: [rows, columns], masked where not finite.
        log: whether they are logarithms to base 10.
        edges: between the bands, one more than there are bands.

    """

    values: np.ma.MaskedArray
    log: bool
    edges: tuple[float, ...]

    def ticks(self) -> list[tuple[float, str]]:
        """Round values of the loss, at their heights."""
        low, high = self.edges[0], self.edges[-1]
        if not self.log:
            return rounds(low, high)
        return [(math.log10(value), text) for value, text in decades(10**low, 10**high)]


def heights(losses: Sequence[Sequence[float]]) -> Heights:
    """The losses, or their logarithms where they differ much and all are above 0."""
    values = np.ma.masked_invalid(np.asarray(losses, dtype=float))
    if not values.count():
        return Heights(values, False, tuple(np.linspace(0.0, 1.0, BANDS + 1).tolist()))
    low, high = float(values.min()), float(values.max())
    log = low > 0 and high / low > WIDE
    if log:
        values, low, high = np.ma.log10(values), math.log10(low), math.log10(high)
    if high == low:
        high = low + (abs(low) or 1.0)
    return Heights(values, log, tuple(np.linspace(low, high, BANDS + 1).tolist()))


def colours(count: int) -> tuple[str, ...]:
    """Evenly spaced colours from low to high."""
    return tuple(to_hex(colormaps["cividis"](at)) for at in np.linspace(0.0, 1.0, count))


def contours(
    alphas: Sequence[float],
    betas: Sequence[float],
    found: Heights,
    *,
    marks: Sequence[Mark] = (),
    joined: bool = False,
    names: tuple[str, str] = ("alpha", "beta"),
    describes: str,
) -> str:
    """Draw the plane.

    Args:
        alphas: of the columns.
        betas: of the rows.
        found: what to draw.
        marks: named points, (name, alpha, beta).
        joined: whether the marks are a trajectory.
        names: of the axes.
        describes: what a reader who does not see the drawing is told.

    Returns:
        An svg element.

    """
    width, height = 560, tall(alphas, betas)
    x = Axis(names[0], alphas[0], alphas[-1])
    y = Axis(names[1], betas[0], betas[-1])
    frame = Frame(x, y, width - BAR + RIGHT, height)
    parts = [
        *bands(frame, alphas, betas, found),
        *grid(frame),
        *(trail(frame, marks) if joined else ()),
        *(part for mark in marks for part in marked(frame, mark)),
        *bar(found, width, height),
    ]
    return (
        f'<svg class="chart plane" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(describes)}">'
        f"{''.join(parts)}</svg>"
    )


def tall(alphas: Sequence[float], betas: Sequence[float]) -> int:
    """The height that gives both directions one scale, within reason."""
    ratio = (betas[-1] - betas[0]) / (alphas[-1] - alphas[0])
    return round(TOP + BOTTOM + (560 - LEFT - BAR) * min(1.1, max(0.5, ratio)))


def bands(frame: Frame, alphas: Sequence[float], betas: Sequence[float], found: Heights) -> Iterator[str]:
    """The area between two edges in one colour; where f is not finite the ground shows."""
    wide, tall = frame.width - RIGHT - LEFT, frame.height - BOTTOM - TOP
    yield f'<rect class="void" x="{LEFT}" y="{TOP}" width="{wide}" height="{tall}"/>'
    if min(found.values.shape) < 2 or not found.values.count():
        return
    columns: Any = [frame.across(alpha) for alpha in alphas]
    rows: Any = [frame.up(beta) for beta in betas]
    generator: Any = contour_generator(columns, rows, found.values, fill_type=FillType.OuterOffset)
    edges = (-math.inf, *found.edges[1:-1], math.inf)
    for low, high, colour in zip(edges, edges[1:], colours(BANDS), strict=False):
        polygons, offsets = generator.filled(low, high)
        data = "".join(outline(points, starts) for points, starts in zip(polygons, offsets, strict=True))
        if data:
            yield f'<path class="band" fill="{colour}" d="{data}"/>'


def outline(points: np.ndarray, starts: np.ndarray) -> str:
    """A polygon with its holes as path data."""
    return "".join("M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points[a : b - 1]) + "Z" for a, b in pairwise(starts))


def trail(frame: Frame, marks: Sequence[Mark]) -> Iterator[str]:
    """The marks joined, in order."""
    places = [(frame.across(alpha), frame.up(beta)) for _, alpha, beta in marks]
    yield f'<path class="trail" d="M{"L".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>'


def marked(frame: Frame, mark: Mark) -> Iterator[str]:
    """A point and its name."""
    name, alpha, beta = mark
    x, y = frame.across(alpha), frame.up(beta)
    if x is None or y is None:
        return
    where, aside = (" end", -9) if x > frame.width - 90 else ("", 9)
    said = f"<title>{escape(name)}: {number(alpha)}, {number(beta)}</title>"
    yield f'<circle class="spot" cx="{x:.1f}" cy="{y:.1f}" r="5">{said}</circle>'
    yield f'<text class="spot-name{where}" x="{x + aside:.1f}" y="{y - 8:.1f}">{escape(name)}</text>'


def bar(found: Heights, width: int, height: int) -> Iterator[str]:
    """The colours from low to high, with values of the loss."""
    x, foot, room = width - BAR + 22, height - BOTTOM, height - TOP - BOTTOM
    step = room / BANDS
    for at, colour in enumerate(colours(BANDS)):
        yield f'<rect fill="{colour}" x="{x}" y="{foot - (at + 1) * step:.1f}" width="14" height="{step + 0.5:.1f}"/>'
    low, high = found.edges[0], found.edges[-1]
    for value, text in found.ticks():
        up = foot - (value - low) / (high - low) * room
        yield f'<text class="tick" x="{x + 20}" y="{up + 4:.1f}">{escape(text)}</text>'
    yield f'<text class="name" x="{x}" y="15">loss</text>'
