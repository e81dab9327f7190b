"""The history of training: loss and accuracy after each epoch."""

from sharpmin.history import epochs_in_words
from sharpmin.report.axes import Axis, around
from sharpmin.report.blocks import Figure, Key, Numbers, Section, rows_of
from sharpmin.report.chart import Series, chart
from sharpmin.report.gathering import EPOCH
from sharpmin.report.sections.looks import PARTS, look, named
from sharpmin.report.story import Row, Story
from sharpmin.spread import number

LEAD = (
    "Training loss and accuracy are the epoch's own means, dropout included and the weights moving; those of the test "
    "set are evaluated after each epoch."
)


def section(story: Story) -> Section | None:
    """The tab."""
    points = [point for point in story.points if any(trial.histories.get(point) for trial in story.trials)]
    blocks = [figure(story, point) for point in points]
    return Section("training", "Training", LEAD, tuple(blocks)) if blocks else None


def figure(story: Story, point: str) -> Figure:
    """One minimizer's trainings."""
    trials = [(trial.name, trial.histories[point]) for trial in story.trials if trial.histories.get(point)]
    across = Axis("epoch", 0.0, float(max(len(rows) for _, rows in trials)))
    drawings = []
    for quantity, up, factor in (
        ("loss", Axis("Loss, logarithmic", log=True), 1.0),
        ("accuracy", Axis("Accuracy, %"), 100.0),
    ):
        series = [
            Series(
                f"{label}, {name}",
                [r["epoch"] for r in rows],
                scaled(rows, f"{part}_{quantity}", factor),
                f"{look(story, point)} {part}",
                mark="circle" if len(rows) == 1 else None,
                faint=len(trials) > 1,
            )
            for part, label in PARTS.items()
            for name, rows in trials
        ]
        values = [value for one in series for value in one.ys]
        drawings.append(
            chart(series, x=across, y=around(up, values), describes=described(point, quantity, trials), height=270)
        )
    raw = tuple((name, *row) for name, rows in trials for row in rows_of(rows, (*EPOCH, "seconds")))
    return Figure(
        named(story, point),
        tuple(drawings),
        tuple(Key(label, f"{look(story, point)} {part}") for part, label in PARTS.items()),
        "; ".join(f"{name}: {epochs_in_words(len(rows))}" for name, rows in trials) + ".",
        Numbers(f"training-{point}", ("trial", *EPOCH, "seconds"), raw),
    )


def scaled(rows: tuple[Row, ...], key: str, factor: float) -> list[float | None]:
    """One column."""
    return [None if row[key] is None else factor * row[key] for row in rows]


def described(point: str, quantity: str, trials: list[tuple[str, tuple[Row, ...]]]) -> str:
    """What a reader who does not see the drawing is told."""
    last = "; ".join(
        f"{name}: {number(rows[-1][f'train_{quantity}'])} on the training set, "
        f"{number(rows[-1][f'test_{quantity}']) or 'not evaluated'} on the test set, after epoch {rows[-1]['epoch']}"
        for name, rows in trials
    )
    return f"{quantity.capitalize()} of {point} in training. {last}."
