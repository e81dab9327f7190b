"""The parametric plot: loss and accuracy on the way from one minimizer to the other (the paper's Figures 3 and 7)."""

from collections.abc import Sequence

from sharpmin.paper.published import PublishedCurve
from sharpmin.report.axes import Axis, around
from sharpmin.report.blocks import Figure, Key, Numbers, Section, rows_of
from sharpmin.report.chart import Series, chart
from sharpmin.report.gathering import PLACE
from sharpmin.report.sections.looks import PARTS, guides, named
from sharpmin.report.story import Curve, Story
from sharpmin.spread import number, spread

LEGEND = tuple(Key(label, part, mark) for (part, label), mark in zip(PARTS.items(), ("circle", "square"), strict=True))
PUBLISHED = Key("Keskar et al., training set", "paper")
KINDS = {"line": "On the straight line", "arc": "On the arc"}


def section(story: Story) -> Section | None:
    """The tab."""
    groups = grouped(story)
    if not groups:
        return None
    blocks = [
        figure(story, group, key=f"path-{at + 1}", log=True, title=title(group)) for at, group in enumerate(groups)
    ]
    return Section("path", "Path", lead(groups[0]), tuple(blocks))


def grouped(story: Story) -> list[list[Curve]]:
    """Curves that can be drawn in one figure: of all trials the same kind and grid; a path of its own otherwise."""
    groups: dict[object, list[Curve]] = {}
    for curve in (curve for trial in story.trials for curve in trial.curves if curve.rows):
        groups.setdefault((curve.kind, curve.planned, curve.batch_size), []).append(curve)
    return [*groups.values(), *([curve] for curve in story.paths)]


def summary(story: Story) -> Figure | None:
    """The first of them, on a linear scale as in the paper."""
    groups = grouped(story)
    return figure(story, groups[0], key="path", log=False, title="") if groups else None


def title(group: Sequence[Curve]) -> str:
    """What is drawn."""
    first = group[0]
    whose = f"{first.trial}, {first.ends[0]} to {first.ends[1]}" if len(group) == 1 else f"{len(group)} trials"
    size = "" if first.batch_size is None else f" {first.batch_size}"
    return f"{KINDS.get(first.kind, first.kind)}: {whose} (BatchNorm: {first.batch_norm}{size})"


def lead(group: Sequence[Curve]) -> str:
    """Where the highest point between the ends is."""
    found = []
    for curve in group:
        between = [
            (r["train_loss"], r["alpha"]) for r in curve.rows if 0 <= r["alpha"] <= 1 and r["train_loss"] is not None
        ]
        if between:
            loss, alpha = max(between)
            found.append(f"{number(loss)} at alpha {number(alpha)} ({curve.trial})")
    start = "alpha = 0 is the first minimizer, alpha = 1 the second; beyond them the line goes on. "
    return start + f"The highest training loss between them is {', '.join(found)}." if found else start


def figure(
    story: Story,
    group: Sequence[Curve],
    *,
    key: str,
    log: bool,
    title: str,
    published: PublishedCurve | None = None,
) -> Figure:
    """Loss above, accuracy below, over alpha; the authors' curve of the training set beside where it is given."""
    ends = group[0].ends
    across = around(Axis("alpha"), [row["alpha"] for curve in group for row in curve.rows], margin=0)
    across = Axis(f"alpha (0: {named(story, ends[0])}; 1: {named(story, ends[1])})", across.low, across.high)
    losses = [value for part in PARTS for curve in group for value in column(curve, f"{part}_loss")]
    losses += published.train_loss if published else ()
    up = around(Axis("Loss, logarithmic" if log else "Loss", log=log), losses if log else [0.0, *losses])
    loss = chart(
        [*lines(group, "loss", 1.0), *theirs(published, "loss")],
        x=across,
        y=up if log else Axis(up.label, min(0.0, *finite(losses), 0.0), up.high),
        guides=guides(story, ends),
        describes=f"Loss along the path. {lead(group)}",
    )
    drawings = [loss]
    percents = [value for part in PARTS for curve in group for value in column(curve, f"{part}_accuracy")]
    if finite(percents):
        drawings.append(
            chart(
                [*lines(group, "accuracy", 100.0), *theirs(published, "accuracy")],
                x=across,
                y=Axis("Accuracy, %", 0.0, 104.0),
                guides=guides(story, ends),
                describes="Accuracy along the same path, in percent.",
                height=230,
            )
        )
    tested = any(value is not None for curve in group for value in column(curve, "test_loss"))
    caption = "Pale: each trial; strong: their mean." if len(group) > 1 else ""
    legend = (*(LEGEND if tested else LEGEND[:1]), *((PUBLISHED,) if published else ()))
    return Figure(title, tuple(drawings), legend, caption, numbers(group, key))


def theirs(published: PublishedCurve | None, quantity: str) -> list[Series]:
    """The authors' curve of the training set."""
    if published is None:
        return []
    return [Series(PUBLISHED.label, published.alphas, getattr(published, f"train_{quantity}"), PUBLISHED.look)]


def column(curve: Curve, key: str) -> list[float | None]:
    """One quantity along the curve."""
    return [row[key] for row in curve.rows]


def finite(values: Sequence[float | None]) -> list[float]:
    """What there is."""
    return [value for value in values if value is not None and value == value and abs(value) != float("inf")]


def lines(group: Sequence[Curve], quantity: str, factor: float) -> list[Series]:
    """The lines of both sets: each trial's, pale where there are several, and their mean."""
    found = []
    for key in LEGEND:
        name = f"{key.look}_{quantity}"
        each = [[None if v is None else factor * v for v in column(curve, name)] for curve in group]
        for curve, values in zip(group, each, strict=True):
            alphas = [row["alpha"] for row in curve.rows]
            alone = len(group) == 1
            label = f"{key.label}, {quantity}"
            found.append(
                Series(label, alphas, values, key.look, key.mark if alone else None, faint=not alone, size=0.7)
            )
    if len(group) > 1:
        for key in LEGEND:
            alphas, means = mean(group, f"{key.look}_{quantity}")
            values = [None if v is None else factor * v for v in means]
            found.append(Series(f"{key.label}, mean {quantity}", alphas, values, key.look, key.mark, size=0.7))
    return found


def mean(group: Sequence[Curve], name: str) -> tuple[list[float], list[float | None]]:
    """The mean over trials at each alpha that all have."""
    by_alpha = [{row["alpha"]: row[name] for row in curve.rows} for curve in group]
    alphas = [alpha for alpha in by_alpha[0] if all(alpha in known for known in by_alpha)]
    found = [spread(known[alpha] for known in by_alpha) for alpha in alphas]
    return alphas, [one.mean if one.n else None for one in found]


def numbers(group: Sequence[Curve], key: str) -> Numbers:
    """Every point of every trial."""
    rows = tuple((curve.trial, *row) for curve in group for row in rows_of(curve.rows, PLACE))
    return Numbers(key, ("trial", *PLACE), rows)
