"""What a monitor measured while a network was in training, a panel a measure."""

from collections.abc import Iterator

from sharpmin.report.axes import Axis, around
from sharpmin.report.blocks import Figure, Numbers, Section
from sharpmin.report.chart import Series, chart
from sharpmin.report.story import Row, Story
from sharpmin.spread import number

BESIDE = ("step", "evidence", "errors", "skipped", "seconds", "spent", "elapsed")
SPAN = 30.0  # ratio of a measure's extremes from which on its scale is logarithmic


def section(story: Story) -> Section | None:
    """The tab."""
    blocks = [figure(name, rows, at + 1) for at, (name, rows) in enumerate(story.monitors) if rows]
    lead = "Measured in training, every so many steps, on the data that the monitor was given."
    return Section("monitor", "Along training", lead, tuple(blocks)) if blocks else None


def figure(name: str, rows: tuple[Row, ...], at: int) -> Figure:
    """One monitor."""
    measures = tuple(dict.fromkeys(key for row in rows for key in row if key not in BESIDE))
    raw = tuple((row["step"], *(row.get(measure) for measure in measures)) for row in rows)
    drawings = tuple(panel(measure, rows) for measure in measures)
    return Figure(
        name, drawings, (), " ".join(notes(rows)), Numbers(f"monitor-{at}", ("step", *measures), raw), narrow=True
    )


def panel(measure: str, rows: tuple[Row, ...]) -> str:
    """One measure over the steps."""
    steps, values = [row["step"] for row in rows], [row.get(measure) for row in rows]
    known = [value for value in values if value is not None]
    log = min(known, default=0) > 0 and max(known) / min(known) > SPAN
    described = f"{measure}: {number(known[0])} at first, {number(known[-1])} at last." if known else measure
    return chart(
        [Series(measure, steps, values, "p0", "circle", size=0.6)],
        x=around(Axis("step"), steps, margin=0),
        y=around(Axis(measure + (", logarithmic" if log else ""), log=log), values),
        describes=described,
        width=280,
        height=230,
    )


def notes(rows: tuple[Row, ...]) -> Iterator[str]:
    """What it took, and what failed."""
    last = rows[-1]
    yield f"{len(rows)} rows."
    if last.get("elapsed"):
        yield f"Measuring took {last['spent']:.0f} of {last['elapsed']:.0f} seconds."
    for measure in dict.fromkeys(key for row in rows for key in row.get("errors", {})):
        yield f"{measure} failed in {sum(measure in row.get('errors', {}) for row in rows)} rows."
