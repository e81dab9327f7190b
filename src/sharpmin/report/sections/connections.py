"""Connecting curves: bent paths of low loss between two minimizers, beside the straight line."""

from sharpmin.report.axes import Axis, around
from sharpmin.report.blocks import Figure, Key, Numbers, Section
from sharpmin.report.chart import Guide, Series, chart
from sharpmin.report.story import Connection, Story
from sharpmin.spread import number

LEGEND = (Key("Curve", "p0", "circle"), Key("Straight line", "paper", "square"))
LEAD = (
    "Whether two minimizers lie in one valley: a curve trained to keep the loss low between them (Garipov et al. "
    "2018), and the straight line it began on."
)


def section(story: Story) -> Section | None:
    """The tab."""
    if not story.connections:
        return None
    blocks = [figure(connection, at + 1) for at, connection in enumerate(story.connections)]
    return Section("connections", "Curves", LEAD, tuple(blocks))


def figure(one: Connection, at: int) -> Figure:
    """One curve: its loss, and its accuracy where there is one."""
    said = f"Highest loss on the curve {number(max(one.losses))}, on the straight line {number(max(one.line_losses))}."
    drawings = []
    for label, curve, line, factor, log in (
        ("Loss, logarithmic", one.losses, one.line_losses, 1.0, True),
        ("Accuracy, %", one.accuracies, one.line_accuracies, 100.0, False),
    ):
        pair = [[None if v is None else factor * v for v in values] for values in (curve, line)]
        if all(v is None for v in pair[0]):
            continue
        series = [
            Series(key.label, one.ts, values, key.look, key.mark)
            for key, values in zip(LEGEND[::-1], pair[::-1], strict=True)
        ]
        up = around(Axis(label, log=log), [v for values in pair for v in values])
        ends = [Guide(float(place), end, f"p{place}") for place, end in enumerate(one.ends)]
        drawings.append(chart(series, x=Axis("t"), y=up, guides=ends, describes=f"{label}. {said}", height=270))
    rows = tuple(zip(one.ts, one.losses, one.accuracies, one.line_losses, one.line_accuracies, strict=True))
    columns = ("t", "loss", "accuracy", "line_loss", "line_accuracy")
    return Figure(one.name, tuple(drawings), LEGEND, f"{said} {one.note}", Numbers(f"curve-{at}", columns, rows))
