"""Planes: the loss around or between minimizers, as contours and as a surface to turn."""

from typing import Any

from sharpmin.report.axes import Axis, around
from sharpmin.report.blocks import Block, Figure, Key, Numbers, Section, Surface, Table, table
from sharpmin.report.chart import Series, chart
from sharpmin.report.contours import Heights, colours, contours, heights
from sharpmin.report.story import Lines, Plane, Story
from sharpmin.spread import number, spread

NAMES = {
    "random": ("random direction u", "random direction v"),
    "checkpoints": ("along the first side", "across"),
    "trajectory": ("first principal direction", "second"),
}
LEAD = (
    "Two directions of very many: what a plane does not show, it does not rule out. Where the losses differ much, the "
    "colours and the heights are logarithmic."
)


def section(story: Story) -> Section | None:
    """The tab."""
    if not story.planes and not story.lines:
        return None
    blocks = [block for at, plane in enumerate(story.planes) for block in drawn(plane, at + 1)]
    blocks += [random_lines(lines, at + 1) for at, lines in enumerate(story.lines)]
    return Section("planes", "Planes", LEAD, tuple(blocks))


def drawn(plane: Plane, at: int) -> list[Block]:
    """One plane."""
    found = heights(plane.losses)
    names = NAMES.get(plane.kind, ("alpha", "beta"))
    said = described(plane)
    svg = contours(
        plane.alphas,
        plane.betas,
        found,
        marks=[(mark["name"], mark["alpha"], mark["beta"]) for mark in plane.marks],
        joined=plane.kind == "trajectory",
        names=names,
        describes=said,
    )
    caption = f"{said} {evaluated(plane.how)}"
    return [
        Figure(plane.name, (svg,), (), caption, numbers(plane, at)),
        surface(plane, found, said, names),
        *([marks(plane, at)] if len(plane.marks) > 1 else []),
    ]


def evaluated(how: dict[str, Any]) -> str:
    """On how many examples, and what BatchNorm did."""
    size = f" {how['batch_size']}" if how.get("batch_size") else ""
    return f"{how.get('examples')} examples; BatchNorm: {how.get('batch_norm')}{size}."


def random_lines(found: Lines, at: int) -> Figure:
    """Random lines through one point, and their mean."""
    means = [spread(column).mean for column in zip(*found.losses, strict=True)]
    each = [Series(f"line {n + 1}", found.alphas, row, "trial", faint=True) for n, row in enumerate(found.losses)]
    series = [*each, Series("mean", found.alphas, means, "p0", "circle", size=0.7)]
    middle, highest = number(means[len(means) // 2]), number(max(means))
    said = f"{len(found.losses)} random lines; at the middle {middle}, highest mean {highest}."
    svg = chart(
        series,
        x=around(Axis("alpha"), found.alphas, margin=0),
        y=around(Axis("Loss"), [0.0, *(loss for row in found.losses for loss in row)]),
        describes=said,
    )
    raw = tuple((n + 1, *pair) for n, row in enumerate(found.losses) for pair in zip(found.alphas, row, strict=True))
    keys = (Key("Mean", "p0", "circle"), Key("Each line", "trial"))
    return Figure(
        found.name,
        (svg,),
        keys,
        f"{said} {evaluated(found.how)}",
        Numbers(f"lines-{at}", ("line", "alpha", "loss"), raw),
    )


def described(plane: Plane) -> str:
    """The plane in words."""
    cells = [
        (loss, a, b)
        for b, row in zip(plane.betas, plane.losses, strict=True)
        for a, loss in zip(plane.alphas, row, strict=True)
    ]
    good = [cell for cell in cells if cell[0] - cell[0] == 0]
    if not good:
        return "The loss is nowhere finite on this plane."
    (low, *at_low), (high, *at_high) = min(good), max(good)
    said = (
        f"Loss on {len(plane.alphas)} by {len(plane.betas)} points: lowest {number(low)} at "
        f"({', '.join(map(number, at_low))}), highest {number(high)} at ({', '.join(map(number, at_high))})."
    )
    return said + (f" NaN or infinity at {len(cells) - len(good)} points." if len(good) < len(cells) else "")


def surface(plane: Plane, found: Heights, said: str, names: tuple[str, str]) -> Surface:
    """The same to turn."""
    low, high = found.edges[0], found.edges[-1]
    rows: list[list[float | None]] = [
        [None if value is None else round((value - low) / (high - low), 4) for value in row]
        for row in found.values.tolist()
    ]
    shape: dict[str, Any] = {
        "alphas": plane.alphas,
        "betas": plane.betas,
        "heights": rows,
        "names": names,
        "ticks": [(round((value - low) / (high - low), 4), text) for value, text in found.ticks()],
        "marks": [(mark["name"], mark["alpha"], mark["beta"]) for mark in plane.marks],
    }
    return Surface(f"{plane.name}, as a surface", said, shape, colours(24))


def numbers(plane: Plane, at: int) -> Numbers:
    """Every point of the grid."""
    accuracies = plane.accuracies or [[None] * len(plane.alphas)] * len(plane.betas)
    rows = tuple(
        (alpha, beta, loss, accuracy)
        for beta, losses, hits in zip(plane.betas, plane.losses, accuracies, strict=True)
        for alpha, loss, accuracy in zip(plane.alphas, losses, hits, strict=True)
    )
    return Numbers(f"plane-{at}", ("alpha", "beta", "loss", "accuracy"), rows)


def marks(plane: Plane, at: int) -> Table:
    """The points marked; one that lies beside the plane is projected onto it."""
    columns = ("name", "alpha", "beta", "distance")
    rows = tuple(tuple(mark.get(column) for column in columns) for mark in plane.marks)
    return table(
        "Points marked",
        Numbers(f"plane-{at}-marks", columns, rows),
        heads=("", "alpha", "beta", "distance from the plane"),
    )
