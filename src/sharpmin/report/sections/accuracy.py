"""Accuracy at the minimizers, and the generalisation gap: what was learnt and does not carry over."""

from sharpmin.paper.published import accuracy_cell
from sharpmin.report.blocks import Numbers, Section, Table
from sharpmin.report.evidence import STANDING, measures, over_trials, standing
from sharpmin.report.story import Story
from sharpmin.spread import Spread, number

QUANTITIES = {
    "train_accuracy": "Training accuracy, %",
    "test_accuracy": "Test accuracy, %",
    "gap": "Generalisation gap, points",
    "train_loss": "Training loss",
    "test_loss": "Test loss",
}
IN_PERCENT = ("train_accuracy", "test_accuracy", "gap")


def facts(story: Story) -> Table:
    """The few numbers that the answer rests on, a column a point, and what the last has over the first."""
    rows, raw = [], []
    several = len(story.points) > 1
    for quantity in ("train_accuracy", "test_accuracy", "gap"):
        found = {point: over_trials(story, point, quantity) for point in story.points}
        if any(one.n for one in found.values()):
            last = (change(*ends(found)),) if several else ()
            rows.append((QUANTITIES[quantity], *map(percent_of, found.values()), *last))
            raw += [(QUANTITIES[quantity], point, *in_numbers(one, 100)) for point, one in found.items()]
    for one in measures(story):
        values = {point: one.over(point) for point in story.points}
        rows.append((one.name, *map(str, values.values()), *((times(*ends(values)),) if several else ())))
        raw += [(one.name, point, *in_numbers(value)) for point, value in values.items()]
    compared = (f"{story.points[-1]} vs {story.points[0]}",) if several else ()
    numbers = Numbers("summary", ("quantity", "point", "n", "mean", "deviation"), tuple(raw))
    return Table("", ("", *story.points, *compared), tuple(rows), numbers)


def ends(found: dict[str, Spread]) -> tuple[Spread, Spread]:
    """Of the first point and the last."""
    values = list(found.values())
    return values[0], values[-1]


def percent_of(one: Spread) -> str:
    """In percent, or nothing."""
    return one.fixed(times=100) if one.n else ""


def in_numbers(one: Spread, factor: float = 1.0) -> tuple[int, float | None, float | None]:
    """n, mean and deviation."""
    deviation = None if one.deviation is None else factor * one.deviation
    return one.n, factor * one.mean if one.n else None, deviation


def change(first: Spread, last: Spread) -> str:
    """The difference of two means of fractions, in points."""
    return f"{100 * (last.mean - first.mean):+.2f}".replace("-", "−") if first.n and last.n else ""


def times(first: Spread, last: Spread) -> str:
    """The ratio of two means."""
    return f"{number(float(f'{last.mean / first.mean:.3g}'))}\u00a0×" if first.n and last.n and first.mean > 0 else ""


def section(story: Story) -> Section | None:
    """The tab."""
    if not any(over_trials(story, point, quantity).n for point in story.points for quantity in STANDING):
        return None
    gaps = [f"{point} {one.fixed(times=100)}" for point in story.points if (one := over_trials(story, point, "gap")).n]
    lead = (
        f"The generalisation gap, training minus test accuracy, is in percentage points: {', '.join(gaps)}. "
        if gaps
        else ""
    ) + "Both are evaluated at the minimizers themselves, after training, over the whole sets."
    return Section("accuracy", "Accuracy", lead, (means(story), trials(story)))


def means(story: Story) -> Table:
    """Mean and deviation over the trials, beside the paper's where it has them."""
    rows, raw = [], []
    for quantity, name in QUANTITIES.items():
        for point in story.points:
            one = over_trials(story, point, quantity)
            if not one.n:
                continue
            of_percent = quantity in IN_PERCENT
            paper = published(story, point, quantity)
            written = one.fixed(times=100) if of_percent else str(one)
            rows.append((name, point, str(one.n), written, "" if paper is None else f"{paper[0]:.2f} ± {paper[1]:.2f}"))
            raw.append((name, point, *in_numbers(one, 100 if of_percent else 1), *(paper or (None, None))))
    columns = ("quantity", "point", "n", "mean", "deviation", "paper_mean", "paper_deviation")
    paper_head = ("Keskar et al.",) if any(row[-1] for row in rows) else ()
    shown = tuple(row if paper_head else row[:-1] for row in rows)
    return Table(
        "Mean ± standard deviation over trials",
        ("", "", "n", "here", *paper_head),
        shown,
        Numbers("accuracy", columns, tuple(raw)),
    )


def published(story: Story, point: str, quantity: str) -> tuple[float, float] | None:
    """The paper's Table 2."""
    part, _, what = quantity.partition("_")
    if story.network is None or what != "accuracy":
        return None
    return accuracy_cell(story.network, part, point)


def trials(story: Story) -> Table:
    """Every trial."""
    found = [(trial.name, point, standing(trial, point)) for trial in story.trials for point in story.points]
    raw = tuple((name, point, *(row[key] for key in STANDING)) for name, point, row in found)
    rows = tuple(
        (name, point, *(shown(row[key], percent="accuracy" in key) for key in STANDING)) for name, point, row in found
    )
    heads = ("", "", *(QUANTITIES[key] for key in STANDING))
    return Table("Every trial", heads, rows, Numbers("accuracy-by-trial", ("trial", "point", *STANDING), raw))


def shown(value: float | None, *, percent: bool) -> str:
    """A loss, or an accuracy in percent."""
    return f"{100 * value:.2f}" if percent and value is not None else number(value)
