"""`sharpmin sharpness`: Metric 2.1 at the two minimizers of a run, or at checkpoints of one's own."""

import math
from collections.abc import Iterator, Sequence
from itertools import product
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from sharpmin.cli.measuring import Options, Setting, labelled, measuring, show
from sharpmin.rows import as_file, keep, kept

if TYPE_CHECKING:
    from sharpmin.runs import Run
    from sharpmin.subjects import Subject

NAME = "sharpness"
SHOWN = (
    *("epsilon", "subspace", "start", "value", "loss", "max_loss"),
    *("first_order", "iterations", "evaluations", "status", "seconds"),
)


def sharpness(
    source: str,
    /,
    *checkpoints: str,
    epsilon: Annotated[list[float] | None, Parameter(consume_multiple=1, negative="")] = None,
    subspace: int | None = None,
    start: Annotated[list[Literal["corner", "zero"]] | None, Parameter(consume_multiple=1, negative="")] = None,
    iterations: int = 10,
    solver: Literal["sharpmin", "scipy"] = "sharpmin",
    seed: int = 0,
    compare: Annotated[bool, Parameter(negative="")] = False,
    options: Options | None = None,
) -> None:
    """Measure how far the loss can rise in a small box around each minimizer (Metric 2.1 of the paper).

    Prints the sharpness of each point with its evidence, and adds the rows to sharpness.jsonl in the run folder.
    What a run folder has there already is not computed again; an interrupted computation goes on where it was.

    Parameters
    ----------
    source
        A run folder made by sharpmin plot, or your own task: package.module:function or file.py:function, whose
        call returns (model, data) or (model, data, loss).
    checkpoints
        Of your own task: files or folders with weights; file.pt:key picks one of several state dicts.
    epsilon
        Half-widths of the box relative to |weight| + 1; the paper's 1e-3 and 5e-4 by default.
    subspace
        Dimension of a random subspace (the paper's Table 4: 100); the full space by default.
    start
        Where the search starts: "corner" of the box in the direction of the gradient's sign (the default), "zero", or
        both.
    iterations
        Of L-BFGS-B (the paper: 10).
    solver
        "sharpmin" computes where f is, "scipy" in float64 on the host.
    seed
        Of the random subspace.
    compare
        Put the points side by side, with their ratio and, of a run folder, the paper's row where it has these settings.
    options
        See `sharpmin.cli.measuring`.
    """
    plan = [
        {
            "epsilon": width,
            "subspace": subspace,
            "start": begin,
            "iterations": iterations,
            "solver": solver,
            "seed": seed,
        }
        for width, begin in product(epsilon or (1e-3, 5e-4), start or ("corner",))
    ]
    with measuring(source, checkpoints, options, by_gradients=True) as setting:
        rows = list(measured(setting, plan))
        apart = differences(setting.subject, rows, iterations)
    if not compare:
        show(table(rows))
        return
    show(side_by_side(setting.subject.network, rows, apart))
    if setting.subject.network and (said := dict.fromkeys(", ".join(one) for one in apart if one)):
        print(f"The paper has no numbers by these settings: {'; '.join(said)}.")


def measured(setting: Setting, plan: Sequence[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The rows, point by point; those of a run folder that are there already are read."""
    from sharpmin import measures

    subject, run = setting.subject, setting.subject.run
    for point in subject.points:
        objective = subject.journal(point)
        for how in plan:
            asked = {**how, **subject.described(objective)}
            if subject.network and (known := earlier(run, point, asked)):
                yield point, known
                continue
            report = labelled(setting.progress, f"{point}, epsilon {how['epsilon']:g}")
            result = measures.sharpness(objective, **how, progress=report)
            keep(run, NAME, point, result, asked=asked, environment=setting.environment)
            if result.value == math.inf:
                run.save(f"infinite-{as_file(point)}-{how['epsilon']:g}", {"displacement": result.displacement})
            yield point, result
        objective.forget()


def earlier(run: "Run", point: str, asked: dict[str, Any]) -> Any:
    """The row of an earlier measurement of the very same, or None."""
    from sharpmin.disk import having, readable

    found = kept(run, NAME, point, asked)
    with readable(run.folder / f"{NAME}.jsonl"):
        return None if found is None else SimpleNamespace(**having(found, SHOWN, "a row"))


def table(rows: Sequence[tuple[str, Any]]) -> Any:
    """A row a measurement, with its evidence."""
    from rich.table import Table

    columns = (
        "",
        "epsilon",
        "space",
        "start",
        "sharpness",
        "loss",
        "max loss",
        "first order",
        "it.",
        "ev.",
        "ended",
        "s",
    )
    shown = Table(*columns, box=None)
    for point, found in rows:
        space = f"{found.subspace} random" if found.subspace else "full"
        numbers = [f"{x:.4g}" for x in (found.value, found.loss, found.max_loss, found.first_order)]
        counts = [str(found.iterations), str(found.evaluations), ended(found), f"{found.seconds:.0f}"]
        shown.add_row(point, f"{found.epsilon:g}", space, found.start, *numbers, *counts)
    return shown


def ended(found: Any) -> str:
    """Why the search ended, and whether it was still climbing; rows of older versions do not know."""
    from sharpmin.measures.sharpness import still_climbing

    climbing = still_climbing(found.status, getattr(found, "climb", ()), found.loss)
    return f"{found.status}, still climbing" if climbing else str(found.status)


def differences(subject: "Subject", rows: Sequence[tuple[str, Any]], iterations: int) -> list[list[str]]:
    """What sets each measurement at a network of the paper apart from the paper's own, in words."""
    from sharpmin.paper.metric import asked, unlike_the_paper

    if subject.network is None:
        return [[] for _ in rows]
    given, examples = {"iterations": iterations, "only": subject.evaluation.only}, len(subject.data)  # type: ignore[arg-type]
    return [unlike_the_paper(asked({**vars(found), "asked": given}), examples=examples) for _, found in rows]


def side_by_side(network: str | None, rows: Sequence[tuple[str, Any]], apart: Sequence[Sequence[str]]) -> Any:
    """The points of each epsilon beside each other, the last over the first, and the paper's row where it has one."""
    from rich.table import Table

    from sharpmin.paper.published import sharpness_row

    points = list(dict.fromkeys(point for point, _ in rows))
    ratio_of = [f"{points[-1]} / {points[0]}"] if len(points) > 1 else []
    paper = [f"paper {point}" for point in points] if network else []
    shown = Table("epsilon", "start", *points, *ratio_of, *paper, box=None)
    found = {(result.epsilon, result.start, point): result for point, result in rows}
    other = {(result.epsilon, result.start) for (_, result), unlike in zip(rows, apart, strict=True) if unlike}
    for epsilon, start in dict.fromkeys((result.epsilon, result.start) for _, result in rows):
        values = [found[epsilon, start, point].value for point in points]
        ratio = [f"{values[-1] / values[0]:.1f}" if values[0] else "-"] if ratio_of else []
        subspace = found[epsilon, start, points[0]].subspace
        known = None if network is None else sharpness_row(network, epsilon=epsilon, subspace=subspace)
        theirs = {} if known is None or (epsilon, start) in other else known
        cells = ["{:.2f} ± {:.2f}".format(*theirs[p]) if p in theirs else "-" for p in points] if network else []
        shown.add_row(f"{epsilon:g}", start, *(f"{value:.2f}" for value in values), *ratio, *cells)
    return shown
