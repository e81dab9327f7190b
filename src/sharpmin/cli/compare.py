"""`sharpmin compare`: several measures at several checkpoints, and a verdict."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sharpmin.cli.measuring import Options, Setting, labelled, measuring, show
from sharpmin.errors import UsageError
from sharpmin.rows import row

if TYPE_CHECKING:
    from sharpmin.comparison import Reading, Standing


def compare(
    source: str,
    /,
    *checkpoints: str,
    measures: Annotated[list[str] | None, Parameter(consume_multiple=1, negative="")] = None,
    seed: int = 0,
    options: Options | None = None,
) -> None:
    """Say which of two or more minimizers is sharper: by which measure, by how much, and what could mislead.

    Takes each measure at each point, prints them side by side with a verdict, and keeps all of it in compare.json in
    the run folder. Where the task has test data, says whether the sharper one generalises worse.

    Parameters
    ----------
    source
        A run folder made by sharpmin plot, or your own task: package.module:function or file.py:function.
    checkpoints
        Of your own task: two or more files or folders with weights.
    measures
        metric-2.1 (of the paper, full space, epsilon 1e-3), adaptive (ASAM), lambda-max (of the Hessian),
        noise-scale; all by default.
    seed
        Of whatever is random in a measure.
    options
        See `sharpmin.cli.measuring`.
    """
    from sharpmin import comparison
    from sharpmin.batchnorm import norms
    from sharpmin.disk import check_writable, write_json

    chosen = check(measures or list(comparison.MEASURES), comparison.MEASURES)
    with measuring(source, checkpoints, options, by_gradients=True) as setting:
        subject = setting.subject
        if len(subject.points) < 2:
            raise UsageError("comparing takes two checkpoints or more")
        check_writable(subject.run.folder)
        standings, readings = taken(setting, chosen, seed=seed)
        policy = subject.at(next(iter(subject.points))).batch_norm
    said = comparison.verdict(standings, readings)
    doubts = comparison.caveats(standings, readings, batch_norm=policy, has_norms=bool(norms(subject.model)))
    write_json(
        subject.run.folder / "compare.json",
        {
            "verdict": said,
            "caveats": doubts,
            "points": [asdict(standing) for standing in standings],
            "readings": [kept(reading) for reading in readings],
            "environment": setting.environment,
        },
    )
    show(side_by_side(standings, readings))
    print("\n".join([said, *(f"- {doubt}" for doubt in doubts)]))


def kept(reading: "Reading") -> dict[str, Any]:
    """A reading as compare.json has it."""
    head = {"measure": reading.measure, "minimizer": reading.point, "value": reading.value}
    found = {} if reading.result is None else row(reading.point, reading.result, {})
    return {**head, "error": reading.error, "caveat": reading.caveat, **found}


def check(chosen: Sequence[str], known: Sequence[str] | dict[str, Any]) -> Sequence[str]:
    """Raise a UsageError for a measure that there is not."""
    if unknown := [name for name in chosen if name not in known]:
        raise UsageError(f"no such measure: {', '.join(unknown)}; choose among {', '.join(known)}")
    return chosen


def taken(setting: Setting, chosen: Sequence[str], *, seed: int) -> "tuple[list[Standing], list[Reading]]":
    """Every chosen measure at every point; one point is in memory at a time."""
    from sharpmin.comparison import Standing, read

    standings, readings = [], []
    for point in setting.subject.points:
        objective = setting.subject.around(point)
        here = objective.measure(objective.theta)
        test = None if setting.subject.test is None else setting.subject.objective(setting.subject.test)
        there = None if test is None else test.measure(test.theta)
        standings.append(
            Standing(
                point,
                here.loss,
                here.accuracy,
                None if there is None else there.loss,
                None if there is None else there.accuracy,
                objective.theta.double().norm().item(),
            )
        )
        report = labelled(setting.progress, point)
        readings += [read(name, objective, point, seed=seed, progress=report) for name in chosen]
    return standings, readings


def side_by_side(standings: "Sequence[Standing]", readings: "Sequence[Reading]") -> Any:
    """A column a point, a row a measure."""
    from rich.table import Table

    shown = Table("", *(standing.point for standing in standings), box=None)
    shown.add_row("loss", *(f"{standing.loss:.4g}" for standing in standings))
    for name, key, form in (
        ("accuracy", "accuracy", "{:.2%}"),
        ("test loss", "test_loss", "{:.4g}"),
        ("test accuracy", "test_accuracy", "{:.2%}"),
    ):
        values = [getattr(standing, key) for standing in standings]
        if any(value is not None for value in values):
            shown.add_row(name, *("none" if value is None else form.format(value) for value in values))
    shown.add_row("|theta|", *(f"{standing.norm:.4g}" for standing in standings))
    for name in dict.fromkeys(reading.measure for reading in readings):
        of_it = [reading for reading in readings if reading.measure == name]
        shown.add_row(name, *(f"{r.value:.4g}" + ("" if r.error is None else f" ± {r.error:.2g}") for r in of_it))
    return shown
