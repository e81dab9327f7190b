"""The spectrum: the largest and smallest eigenvalues of the Hessian, its trace, and the density of all of them."""

from collections.abc import Iterator

from sharpmin.report.axes import Axis, around
from sharpmin.report.blocks import Block, Figure, Numbers, Section, Table, rows_of, shown
from sharpmin.report.chart import Series, chart
from sharpmin.report.sections.looks import legend, look, mark
from sharpmin.report.story import Row, Story, Trial
from sharpmin.spread import number, plus_minus

LEAD = (
    "An eigenvalue of the Hessian is the curvature of the loss along its direction. Each lies within its residual of a "
    "true one; lambda-max, the largest, is the sharpest direction."
)
EVIDENCE = (
    *("minimizer", "matrix", "which", "eigenvalues", "residuals", "converged", "products", "status", "method"),
    *("batch_norm", "batch_size", "precision", "seconds"),
)
DRAWN = 240  # points of a density, at most
FLOOR = 1e-8  # of the highest density


def section(story: Story) -> Section | None:
    """The tab."""
    blocks: list[Block] = []
    if any(trial.spectrum for trial in story.trials):
        blocks += [eigenvalues(story), pairs(story)]
    if any("trace" in row for trial in story.trials for row in trial.spectrum):
        blocks.append(traces(story))
    blocks += [density(story, trial) for trial in story.trials if trial.density]
    return Section("spectrum", "Spectrum", LEAD, tuple(blocks)) if blocks else None


def eigenvalues(story: Story) -> Figure:
    """By rank, each with its residual."""
    found = [(trial.name, row) for trial in story.trials for row in trial.spectrum]
    series = [marks(story, name, row) for name, row in found]
    raw = [line for name, row in found for line in by_rank(name, row)]
    top, bottom = max(0, *(row[4] for row in raw)), min(0, *(row[4] for row in raw))
    up = around(Axis("Eigenvalue"), [0.0, *(row[5] for row in raw)], margin=0.06)
    across = Axis("rank, from the largest; negative: from the smallest", bottom - 0.7, top + 0.7)
    described = "; ".join(f"{s.label}: {number(s.ys[0])} to {number(s.ys[-1])}" for s in series)
    columns = ("trial", "point", "matrix", "which", "rank", "eigenvalue", "residual", "converged")
    return Figure(
        "Eigenvalues",
        (chart(series, x=across, y=up, describes=f"Eigenvalues, from first to last. {described}."),),
        legend(story),
        "Bars: the residual, within which an eigenvalue of the matrix lies.",
        Numbers("eigenvalues", columns, tuple(raw)),
    )


def marks(story: Story, trial: str, row: Row) -> Series:
    """A row's eigenvalues by rank, with their residuals as bars."""
    point, values = row["minimizer"], row["eigenvalues"]
    how = (look(story, point), mark(story, point))
    return Series(f"{trial}, {point}", ranked(row), values, *how, line=False, errors=row["residuals"])


def by_rank(trial: str, row: Row) -> Iterator[tuple]:
    """Each eigenvalue of a row as a row of numbers."""
    asked = (trial, row["minimizer"], row.get("matrix"), row.get("which"))
    for rank, *found in zip(ranked(row), row["eigenvalues"], row["residuals"], row["converged"], strict=True):
        yield (*asked, int(rank), *found)


def ranked(row: Row) -> list[float]:
    """Ranks of a row's eigenvalues: 1, 2, ... from the largest, and ..., -2, -1 of those at the lower end."""
    count = len(row["eigenvalues"])
    above = {"bottom": 0, "both": count // 2}.get(row.get("which", "top"), count)
    return [*map(float, range(1, above + 1)), *map(float, range(above - count, 0))]


def pairs(story: Story) -> Table:
    """Each computation with its evidence."""
    found = [(trial.name, row) for trial in story.trials for row in trial.spectrum]
    raw = tuple((name, *row) for name, one in found for row in rows_of([one], EVIDENCE))
    rows = tuple((name, *evidence(row)) for name, row in found)
    heads = ("", "", "matrix", "eigenvalues", "largest residual", "converged", "products", "BatchNorm", "batch", "s")
    return Table("Every computation, with its evidence", heads, rows, Numbers("spectrum", ("trial", *EVIDENCE), raw))


def evidence(row: Row) -> tuple[str, ...]:
    """One computation as the table has it."""
    good = f"{sum(row['converged'])} of {len(row['converged'])}"
    how = (row.get("products"), row.get("batch_norm"), row.get("batch_size"), round(row.get("seconds", 0)))
    values = ", ".join(map(number, row["eigenvalues"]))
    residual = number(max(row["residuals"], default=None), digits=2)
    return (row["minimizer"], row.get("matrix", ""), values, residual, good, *map(shown, how))


def traces(story: Story) -> Table:
    """The trace with its standard error."""
    raw = tuple(
        (trial.name, row["minimizer"], row["trace"]["value"], row["trace"]["standard_error"], row["trace"]["products"])
        for trial in story.trials
        for row in trial.spectrum
        if "trace" in row
    )
    columns = ("trial", "point", "trace", "standard_error", "products")
    rows = tuple((name, point, plus_minus(value, error), str(count)) for name, point, value, error, count in raw)
    return Table("Trace ± standard error", ("", "", "trace", "products"), rows, Numbers("trace", columns, raw))


def density(story: Story, trial: Trial) -> Figure:
    """The share of the eigenvalues per unit, on a logarithmic axis."""
    latest = {row["minimizer"]: row for row in trial.density}
    top = max(max(row["density"]) for row in latest.values())
    series = [Series(point, *thinned(row, top * FLOOR), look(story, point)) for point, row in latest.items()]
    across = around(
        Axis("eigenvalue"), [edge for row in latest.values() for edge in (row["grid"][0], row["grid"][-1])], margin=0
    )
    up = Axis("Share of the eigenvalues per unit", top * FLOOR, top * 2, log=True)
    raw = tuple(
        (point, *values)
        for point, row in latest.items()
        for values in zip(row["grid"], row["density"], row["standard_error"], strict=True)
    )
    described = "; ".join(
        f"{point} from {number(row['grid'][0])} to {number(row['grid'][-1])}" for point, row in latest.items()
    )
    return Figure(
        f"Density of all eigenvalues, {trial.name}",
        (chart(series, x=across, y=up, describes=f"Density of the eigenvalues. {described}."),),
        legend(story, line=True),
        "Read it as a histogram: the area between two values is the share of eigenvalues there.",
        Numbers(f"density-{trial.name.replace(' ', '-')}", ("point", "eigenvalue", "density", "standard_error"), raw),
    )


def thinned(row: Row, floor: float) -> tuple[list[float], list[float | None]]:
    """As many points of a density as can be seen; of each stretch its highest."""
    grid, height = row["grid"], row["density"]
    width = max(1, -(-len(grid) // DRAWN))
    tops = [max(range(at, min(at + width, len(grid))), key=height.__getitem__) for at in range(0, len(grid), width)]
    return [grid[at] for at in tops], [height[at] if height[at] > floor else None for at in tops]
