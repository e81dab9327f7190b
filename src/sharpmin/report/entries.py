"""The paper's tables and figures as blocks of a page: what was made of each, the published numbers beside it."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from sharpmin.errors import RunError
from sharpmin.paper.configurations import DATA_SETS, configurations
from sharpmin.paper.distances import PUBLISHED, distances
from sharpmin.paper.performance import iterations_limit
from sharpmin.paper.published import PublishedCurve, figure_3, published
from sharpmin.report.blocks import Figure, Numbers, Picture, Table, table
from sharpmin.report.evidence import metric_2_1
from sharpmin.report.gathering import gather
from sharpmin.report.many_runs import many_runs
from sharpmin.report.sections import accuracy, path, sharpness, training
from sharpmin.report.story import Story
from sharpmin.spread import spread

Numbered = Table | Figure | Picture
EFFICIENCIES = (0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class Part:
    """What was made of some entries of the paper for one network.

    Attributes:
        entries: their names in `sharpmin.paper.contents`.
        network: of the paper.
        runs: run folders that differ only in the seed.
        figure: the numbers of a figure or table of many runs, as `sharpmin paper` saved them.
        scaled: what is less than in the recipe, a sentence; empty where nothing is.
        problem: why there is nothing.

    """

    entries: tuple[str, ...]
    network: str
    runs: tuple[Path, ...] = ()
    figure: Path | None = None
    scaled: str = ""
    problem: str = ""


def blocks(entry: str, part: Part) -> list[Numbered]:
    """What a page shows of an entry for the part's network.

    Raises:
        RunError: a run folder or a file cannot be read, or holds nothing of the entry.

    """
    found = OF_RUNS[entry](gather(part.runs), part) if part.figure is None else [many_runs(part.figure)]
    made = [named(block, entry, part) for block in found]
    if not made:
        raise RunError(f"nothing of it was measured in {', '.join(folder.name for folder in part.runs)}")
    return made


def named(block: Numbered, entry: str, part: Part) -> Numbered:
    """The block under the network's name, its numbers under a key of their own."""
    key = re.sub(r"\W+", "-", f"{part.network}-{entry}-{block.numbers.key}")
    return replace(block, title=f"{part.network}: {block.title}", numbers=replace(block.numbers, key=key))


def table_2(story: Story, part: Part) -> Iterable[Numbered]:
    """Accuracies."""
    return [accuracy.means(story)]


def table_3(story: Story, part: Part) -> Iterable[Numbered]:
    """Sharpness in the full space."""
    return searched(story, full=True)


def table_4(story: Story, part: Part) -> Iterable[Numbered]:
    """Sharpness in random subspaces."""
    return searched(story, full=False)


def searched(story: Story, *, full: bool) -> Iterable[Numbered]:
    """Metric 2.1, every trial and their means."""
    found = [one for one in metric_2_1(story) if (one.how["subspace"] is None) == full]
    return [sharpness.means(story, found), sharpness.dots(story, found)] if found else []


def figure_2(story: Story, part: Part) -> Iterable[Numbered]:
    """Loss and accuracy after each epoch."""
    return [training.figure(story, point) for point in story.points]


def line(story: Story, part: Part) -> Iterable[Numbered]:
    """The straight line, and the authors' where they published it."""
    known = part.network in published()["figure_3_parametric_curves"]
    return curve(story, "line", figure_3(part.network) if known else None)


def arc(story: Story, part: Part) -> Iterable[Numbered]:
    """The arc."""
    return curve(story, "arc", None)


def curve(story: Story, kind: str, theirs: PublishedCurve | None) -> Iterable[Numbered]:
    """The finest grid of this kind."""
    groups = [group for group in path.grouped(story) if group[0].kind == kind]
    finest = max(groups, key=lambda group: group[0].planned, default=None)
    if finest is None:
        return []
    title = path.title(finest)
    return [path.figure(story, finest, key=kind, log=False, title=title, published=theirs)]


def apart(story: Story, part: Part) -> Iterable[Numbered]:
    """Distances of the minimizers from x0, trial by trial."""
    found = [(trial.name, distances(Path(trial.folder))) for trial in story.trials]
    raw = tuple((name, d.small_batch, d.large_batch, d.between, d.ratio) for name, d in found)
    heads = ("trial", "|x_SB − x0|", "|x_LB − x0|", "|x_SB − x_LB|", "SB / LB")
    ratio = spread(d.ratio for _, d in found)
    note = f"SB / LB: {ratio}, n = {ratio.n}; Keskar et al.: {PUBLISHED[0]:g} to {PUBLISHED[1]:g}."
    numbers = Numbers("distances", ("trial", "small_batch", "large_batch", "between", "ratio"), raw)
    return [table("Distance from the starting point", numbers, heads=heads, note=note)]


OF_RUNS: dict[str, Callable[[Story, Part], Iterable[Numbered]]] = {
    "Table 2": table_2,
    "Table 3": table_3,
    "Table 4": table_4,
    "Figure 2": figure_2,
    "Figure 3": line,
    "Figure 7": arc,
    "Section 2.2.1": apart,
}


def table_1() -> Table:
    """Networks, weights counted, and batches."""
    columns = ("network", "architecture", "data", "weights", "small batch", "large batch")
    raw = tuple(
        (row.network, row.architecture, row.data, row.weights, row.small_batch, row.large_batch)
        for row in configurations()
    )
    return table("Networks", Numbers("networks", columns, raw))


def appendix_a() -> Table:
    """The data sets."""
    columns = ("data", "training examples", "test examples", "features", "classes")
    raw = tuple((data.name, data.train, data.test, data.features, data.classes) for data in DATA_SETS.values())
    return table("Data sets, with the sizes that the paper states", Numbers("data-sets", columns, raw))


def appendix_c() -> Table:
    """The performance model at the paper's batches and some efficiencies."""
    raw = tuple(
        (row.network, row.small_batch, row.large_batch, efficiency, limit(row.small_batch, row.large_batch, efficiency))
        for row in configurations()
        for efficiency in EFFICIENCIES
    )
    columns = ("network", "small batch", "large batch", "efficiency of the small batch", "most iterations, LB / SB")
    note = "With a large batch of 2560 and an efficiency of 0.2 the paper, and this formula, say 0.5."
    return table("A large batch pays below this ratio of iterations", Numbers("performance", columns, raw), note=note)


def limit(small: int, large: int, efficiency: float) -> float:
    """The ratio of iterations."""
    return iterations_limit(small_batch=small, large_batch=large, efficiency=efficiency)


WITHOUT_RUNS: dict[str, Callable[[], Table]] = {
    "Table 1": table_1,
    "Appendix A": appendix_a,
    "Appendix C": appendix_c,
}
