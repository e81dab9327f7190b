"""A chart of lines and points as inline SVG, which the page's style sheet colours.

Colour never stands alone: every look has a dash or a marker of its own as well. A point says its numbers when the
pointer rests on it; the same numbers are in the table under the chart.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from sharpmin.report.axes import Axis
from sharpmin.spread import number

LEFT, RIGHT, TOP, BOTTOM = 66, 16, 40, 54
SHAPES = {
    "circle": "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0",
    "triangle": "M0,-5L4.8,3.6L-4.8,3.6Z",
    "square": "M-3.7,-3.7H3.7V3.7H-3.7Z",
    "diamond": "M0,-5L5,0L0,5L-5,0Z",
    "cross": "M-4,-4L4,4M-4,4L4,-4",
    "bar": "M-6,0H6",
}


@dataclass(frozen=True)
class Series:
    """One line, or one set of points.

    Attributes:
        label: of the legend, and of what a point says.
        xs: where.
        ys: how much; what is not finite, or not above 0 on a logarithmic axis, is a gap.
        look: a class of the style sheet: colour and dash.
        mark: a name among SHAPES, or None for no markers.
        line: whether the points are joined.
        faint: drawn pale: one of several trials.
        errors: half-lengths of error bars.
        size: of the markers.

    """

    label: str
    xs: Sequence[float]
    ys: Sequence[float | None]
    look: str
    mark: str | None = None
    line: bool = True
    faint: bool = False
    errors: Sequence[float | None] | None = None
    size: float = 1.0


@dataclass(frozen=True)
class Guide:
    """A vertical line at x, with a text at its top, raised by a line where another text is near."""

    x: float
    label: str
    look: str
    raised: bool = False


@dataclass(frozen=True)
class Frame:
    """The rectangle that the data are drawn in, and its two axes."""

    x: Axis
    y: Axis
    width: int
    height: int

    def across(self, value: float | None) -> float | None:
        """The horizontal place of a value in the drawing."""
        share = self.x.place(value)
        return None if share is None else LEFT + share * (self.width - LEFT - RIGHT)

    def up(self, value: float | None) -> float | None:
        """The vertical place."""
        share = self.y.place(value)
        return None if share is None else self.height - BOTTOM - share * (self.height - TOP - BOTTOM)


def chart(
    series: Sequence[Series],
    *,
    x: Axis,
    y: Axis,
    describes: str,
    guides: Sequence[Guide] = (),
    width: int = 560,
    height: int = 300,
) -> str:
    """Draw the series.

    Args:
        series: in the order of drawing.
        x: the horizontal axis.
        y: the vertical axis.
        describes: what a reader who does not see the drawing is told.
        guides: vertical lines.
        width: of the drawing, in its own units; the page scales it.
        height: likewise.

    Returns:
        An svg element.

    """
    frame = Frame(x, y, width, height)
    parts = [
        *grid(frame),
        *(part for guide in guides for part in guided(frame, guide)),
        *(part for one in series for part in drawn(frame, one)),
    ]
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(describes)}">'
        f"{''.join(parts)}</svg>"
    )


def grid(frame: Frame) -> Iterator[str]:
    """Grid lines, ticks and the names of the axes."""
    left, right, foot = LEFT, frame.width - RIGHT, frame.height - BOTTOM
    for value, text in frame.y.ticks():
        if (at := frame.up(value)) is not None and TOP - 1 <= at <= foot + 1:
            yield f'<path class="grid" d="M{left},{at:.1f}H{right}"/>'
            yield f'<text class="tick end" x="{left - 8}" y="{at + 4:.1f}">{escape(text)}</text>'
    yield f'<path class="axis" d="M{left},{foot}H{right}"/>'
    for value, text in frame.x.ticks():
        if (at := frame.across(value)) is not None and left - 1 <= at <= right + 1:
            yield f'<path class="axis" d="M{at:.1f},{foot}v5"/>'
            yield f'<text class="tick mid" x="{at:.1f}" y="{foot + 21}">{escape(text)}</text>'
    for line, text in enumerate(frame.y.label.split("\n")):
        yield f'<text class="name" x="4" y="{15 + 17 * line}">{escape(text)}</text>'
    yield f'<text class="name mid" x="{(left + right) / 2:.0f}" y="{frame.height - 6}">{escape(frame.x.label)}</text>'


def guided(frame: Frame, guide: Guide) -> Iterator[str]:
    """A vertical line and its text."""
    if (at := frame.across(guide.x)) is not None:
        yield f'<path class="guide {guide.look}" d="M{at:.1f},{TOP}V{frame.height - BOTTOM}"/>'
        up = TOP - (20 if guide.raised else 4)
        yield f'<text class="tick mid {guide.look}" x="{at:.1f}" y="{up}">{escape(guide.label)}</text>'


def drawn(frame: Frame, one: Series) -> Iterator[str]:
    """A series: its line, error bars and markers."""
    places = [(frame.across(x), frame.up(y)) for x, y in zip(one.xs, one.ys, strict=True)]
    faint = " faint" if one.faint else ""
    if one.line:
        yield f'<path class="line {one.look}{faint}" d="{joined(places)}"/>'
    if one.errors is not None:
        yield from bars(frame, one)
    if one.mark:
        for (x, y), at, value in zip(places, one.xs, one.ys, strict=True):
            if x is not None and y is not None:
                says = "" if one.faint and one.line else f"<title>{escape(said(one.label, frame, at, value))}</title>"
                where = f"translate({x:.1f},{y:.1f})" + (f" scale({one.size:g})" if one.size != 1 else "")
                yield f'<path class="mark {one.look}{faint}" transform="{where}" d="{SHAPES[one.mark]}">{says}</path>'


def joined(places: Sequence[tuple[float | None, float | None]]) -> str:
    """Path data through the places; a gap where one cannot be drawn.

    Example:
        >>> joined([(0.0, 1.0), (2.0, 3.0), (4.0, None), (5.0, 5.0)])
        'M0,1L2,3M5,5'

    """
    found, pen = [], "M"
    for x, y in places:
        if x is None or y is None:
            pen = "M"
            continue
        found.append(f"{pen}{x:.1f},{y:.1f}".replace(".0", ""))
        pen = "L"
    return "".join(found)


def bars(frame: Frame, one: Series) -> Iterator[str]:
    """Error bars; one that goes below the axis ends there."""
    foot = frame.height - BOTTOM
    for at, value, error in zip(one.xs, one.ys, one.errors or (), strict=True):
        x, y = frame.across(at), frame.up(value)
        if x is None or y is None or not error or not math.isfinite(error) or value is None:
            continue
        low, high = frame.up(value - error), frame.up(value + error)
        yield f'<path class="error {one.look}" d="M{x:.1f},{foot if low is None else min(low, foot):.1f}V{high:.1f}"/>'


def said(label: str, frame: Frame, x: float, y: float | None) -> str:
    """What a point says."""
    if frame.x.named:
        return f"{label}: {number(y)}"
    return f"{label}: {number(y)} at {frame.x.label.partition(' (')[0]} {number(x)}"
