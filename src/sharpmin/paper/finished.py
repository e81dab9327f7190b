"""What finished runs of a sweep say: their histories, the measures at their solutions and iterates, their origin."""

from collections.abc import Sequence
from typing import Any

from sharpmin.disk import read_list, read_object, readable
from sharpmin.errors import RunError
from sharpmin.history import Epoch
from sharpmin.measures.sharpness import still_climbing
from sharpmin.paper.budget import Extent
from sharpmin.paper.iterates import SOLUTION, point_of
from sharpmin.paper.jobs import Single
from sharpmin.paper.provenance import Provenance, Row
from sharpmin.runs import Run
from sharpmin.sweep.measuring import evaluation, kept_row
from sharpmin.sweep.plan import Planned
from sharpmin.sweep.trial import Measure, named


def training(run: Planned) -> Single:
    """The single training that it is."""
    assert isinstance(run.trial.job, Single)
    return run.trial.job


def history(run: Planned) -> tuple[Epoch, ...]:
    """Its epochs."""
    name = f"{SOLUTION}.history.jsonl"
    with readable(run.folder / name):
        return tuple(Epoch(**line) for line in Run(run.folder).read_lines(name))


def measured(run: Planned, measure: Measure, epoch: int | None = None) -> dict[str, Any]:
    """The row of a measure of the trial, at the solution or at the iterate after an epoch.

    Raises:
        RunError: it is not there.

    """
    point = SOLUTION if epoch is None else point_of(epoch, training(run).config)
    how = evaluation(run.trial, read_object(run.folder / "settings.json", ("data",))["data"]["train"])
    found = kept_row(Run(run.folder), point, measure, how)
    if found is None:
        raise RunError(f"{run.folder} has no {named(measure)[0]} at {point}: run the same command again")
    return found


def cut_off(found: dict[str, Any]) -> bool:
    """Whether the search behind a row of Metric 2.1 was still climbing; an earlier version's row does not tell."""
    return still_climbing(found["status"], found.get("climb", ()), found["loss"])


def provenance(
    planned: Sequence[Planned], extent: Extent, *, network: str, epsilons: Sequence[float], command: str
) -> Provenance:
    """What these finished runs were made from.

    Raises:
        RunError: a run folder cannot be read.

    """
    environments: list[Row] = []
    for run in planned:
        environments += [found for found in read_list(run.folder / "environment.json") if found not in environments]
    return Provenance(
        network=network,
        data=read_object(planned[0].folder / "settings.json", ("data",))["data"],
        seeds=extent.seeds,
        epochs=extent.epochs,
        epsilons=tuple(epsilons),
        scaled=extent.scaled,
        command=command,
        environments=tuple(environments),
        runs=tuple(run.folder.name for run in planned),
    )
