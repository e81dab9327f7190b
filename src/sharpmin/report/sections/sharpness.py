"""Sharpness by Metric 2.1, over the trials and beside the paper's, and each search with its evidence."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sharpmin.paper.metric import asked
from sharpmin.paper.published import sharpness_row
from sharpmin.report.axes import Axis, around
from sharpmin.report.blocks import Block, Figure, Key, Numbers, Section, Table, rows_of, table
from sharpmin.report.chart import Series, chart
from sharpmin.report.evidence import Measured, as_in_the_paper, measures, metric_2_1
from sharpmin.report.sections.accuracy import times
from sharpmin.report.sections.looks import legend, look, mark
from sharpmin.report.story import Story
from sharpmin.spread import number

EVIDENCE = (
    *("minimizer", "epsilon", "subspace", "start", "value", "loss", "max_loss", "first_order", "iterations"),
    *("evaluations", "status", "batch_norm", "batch_size", "precision", "solver", "seconds"),
)
HEADS = (
    *("", "", "epsilon", "space", "start", "sharpness", "loss", "max loss", "first order", "it."),
    *("ev.", "ended", "BatchNorm", "batch", "precision", "solver", "s"),
)
LEAD = (
    "Metric 2.1: how far the loss can rise in a small box around the minimizer, in percent of 1 + loss; the box is "
    "epsilon (|weight| + 1) wide on either side. The maximum is searched for, so each value is a lower bound."
)


def section(story: Story) -> Section | None:
    """The tab."""
    found = [one for one in metric_2_1(story) if all(point in one.values for point in story.points)]
    others = [one for one in measures(story) if not one.name.startswith("Metric 2.1")]
    if not found and not others:
        return None
    blocks: list[Block] = [dots(story, [*found, *others]), means(story, [*found, *others])]
    searched = searches(story)
    return Section("sharpness", "Sharpness", LEAD if found else "", (*blocks, *([searched] if searched.rows else [])))


def published(story: Story, one: Measured) -> dict[str, tuple[float, float]]:
    """The paper's mean and deviation by point, where it has this one, measured like this."""
    if story.network is None or "epsilon" not in one.how or not as_in_the_paper(story, one):
        return {}
    return sharpness_row(story.network, epsilon=one.how["epsilon"], subspace=one.how["subspace"]) or {}


def dots(story: Story, found: Sequence[Measured]) -> Figure:
    """A panel a measure: the trials joined from point to point, their means, and the paper's."""
    drawings = tuple(panel(story, one) for one in found)
    raw = tuple(
        (one.name, point, trial, value)
        for one in found
        for point in story.points
        for trial, value in one.values[point].items()
    )
    keys = legend(story)
    if any(published(story, one) for one in found):
        keys = (*keys, Key("Keskar et al., mean ± deviation", "paper", "diamond", line=False))
    caption = "Large marks: the mean, with the standard deviation; small ones joined: the two minimizers of a trial."
    return Figure(
        "By trial",
        drawings,
        keys,
        caption if len(story.trials) > 1 else "",
        Numbers("sharpness-by-trial", ("measure", "point", "trial", "value"), raw),
        narrow=True,
    )


def panel(story: Story, one: Measured) -> str:
    """One measure: trials joined from point to point, the mean at each point, and the paper's."""
    places = {point: float(at) for at, point in enumerate(story.points)}
    paper = {point: value for point, value in published(story, one).items() if point in places}
    series = joined(one, places)
    for point in story.points:
        series += at_point(story, one, point, places[point])
    if paper:
        at = [places[point] + 0.22 for point in paper]
        means, deviations = [m for m, _ in paper.values()], [d for _, d in paper.values()]
        series.append(Series("Keskar et al.", at, means, "paper", "diamond", line=False, errors=deviations))
    across = Axis("", -0.5, len(places) - 0.5, named=tuple((at, point) for point, at in places.items()))
    summary = "; ".join(f"{point} {one.over(point)}" for point in places)
    return chart(
        series, x=across, y=upwards(one, places, paper), describes=f"{one.name}: {summary}.", width=280, height=280
    )


def upwards(one: Measured, points: Iterable[str], paper: Mapping[str, tuple[float, float]]) -> Axis:
    """The axis of the values: logarithmic where all are above 0, else with the 0 on it."""
    values = [value for point in points for value in one.values[point].values()]
    limits = [edge for mean, deviation in paper.values() for edge in (mean, mean + deviation)]
    log = bool(values) and all(value > 0 for value in values)
    axis = Axis(one.name.replace(" (", "\n").removesuffix(")"), log=log)
    return around(axis, [*values, *limits, *([] if log else [0.0])], margin=0.08)


def joined(one: Measured, places: Mapping[str, float]) -> list[Series]:
    """A line a trial, from point to point."""
    trials = dict.fromkeys(trial for point in places for trial in one.values[point])
    seen = {trial: [point for point in places if trial in one.values[point]] for trial in trials}
    return [
        Series(trial, [places[p] for p in points], [one.values[p][trial] for p in points], "trial", faint=True)
        for trial, points in seen.items()
    ]


def at_point(story: Story, one: Measured, point: str, place: float) -> list[Series]:
    """The trials at a point, where there are several, and their mean with its deviation."""
    trials, over = one.values[point], one.over(point)
    how = (look(story, point), mark(story, point))
    small = Series(point, [place] * len(trials), list(trials.values()), *how, line=False, faint=True, size=0.75)
    name = f"{point}, {'mean' if over.n > 1 else next(iter(trials))}"
    large = Series(name, [place], [over.mean], *how, line=False, errors=[over.deviation], size=1.3)
    return [small, large] if len(trials) > 1 else [large]


def means(story: Story, found: Sequence[Measured]) -> Table:
    """Mean and deviation over the trials, a row a measure."""
    first, last = story.points[0], story.points[-1]
    ratio = (f"{last} / {first}",) if first != last else ()
    papers = [published(story, one) for one in found]
    beside = tuple(f"{point}, Keskar et al." for point in story.points) if any(papers) else ()
    rows, raw = [], []
    for one, paper in zip(found, papers, strict=True):
        over = {point: one.over(point) for point in story.points}
        n = sorted({str(spread.n) for spread in over.values()})
        shown_ratio = (times(over[first], over[last]),) if ratio else ()
        theirs = ("{:.2f} ± {:.2f}".format(*paper[p]) if p in paper else "" for p in story.points) if beside else ()
        rows.append((one.name, "–".join(n), *map(str, over.values()), *shown_ratio, *theirs))
        raw += [(one.name, p, s.n, s.mean, s.deviation, *(paper.get(p) or (None, None))) for p, s in over.items()]
    columns = ("measure", "point", "n", "mean", "deviation", "paper_mean", "paper_deviation")
    heads = ("", "n", *story.points, *ratio, *beside)
    return Table("Mean ± standard deviation over trials", heads, tuple(rows), Numbers("sharpness", columns, tuple(raw)))


def searches(story: Story) -> Table:
    """Each search."""
    raw = tuple(
        (trial.name, *row)
        for trial in story.trials
        for row in rows_of(({**asked(row), **row} for row in trial.sharpness), EVIDENCE)
    )
    shown = table(
        "Every search, with its evidence", Numbers("sharpness-searches", ("trial", *EVIDENCE), raw), heads=HEADS
    )
    space, seconds = 1 + EVIDENCE.index("subspace"), 1 + EVIDENCE.index("seconds")

    def named(row: tuple[str, ...], values: tuple[object, ...]) -> tuple[str, ...]:
        took = values[seconds]
        cells = list(row)
        cells[space] = f"{row[space]} random" if row[space] else "full"
        cells[seconds] = number(round(took)) if isinstance(took, float) else ""
        return tuple(cells)

    note = "First order is the rise a linear loss would have; where it is most of the rise, the point is on a slope."
    return replace(shown, rows=tuple(map(named, shown.rows, raw)), note=note)
