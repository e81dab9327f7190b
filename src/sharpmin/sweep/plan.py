"""Which runs a sweep has, where they lie, and which are complete; nothing is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from sharpmin.data import Split
from sharpmin.data.record import described
from sharpmin.errors import UsageError
from sharpmin.paper.inputs import cut, whole
from sharpmin.paper.jobs import Job, check_batches, check_points
from sharpmin.progress import Progress, silent
from sharpmin.runs import Run, place
from sharpmin.sweep.measuring import evaluation, kept_row
from sharpmin.sweep.trial import Trial
from sharpmin.train_config import check

State = Literal["complete", "begun", "to do"]


@dataclass(frozen=True)
class Planned:
    """A trial with its place.

    Attributes:
        trial: what is to be done.
        folder: its run folder; the name ends in the hash of its configuration and its data.
        state: how far it is.

    """

    trial: Trial
    folder: Path
    state: State


def plan(trials: Sequence[Trial], *, runs: Path, device: str, progress: Progress = silent) -> list[Planned]:
    """Find the folder of each trial, and whether all of it is there.

    Args:
        trials: the sweep.
        runs: the folder of runs.
        device: to compute on; its kind is part of a configuration.
        progress: told how far a download is.

    Raises:
        UsageError: two trials are one configuration, or one cannot be trained.
        SharpminError: data that cannot be had.

    """
    planned: list[Planned] = []
    sets = DataSets(progress)
    for number, trial in enumerate(trials, start=1):
        if isinstance(trial.job, Job):
            check_points(trial.job.points)
        data = sets.described(trial)
        for config in trial.job.configs:
            check(config, examples=data["train"], shape=data["shape"])
        if isinstance(trial.job, Job):
            check_batches(trial.job, give="the pair other batch sizes, or more images")
        folder = folder_of(trial, data, runs, torch.device(device))
        twin = next((i for i, other in enumerate(planned, start=1) if other.folder == folder), None)
        if twin is not None:
            raise UsageError(
                f"runs {twin} and {number} of the recipe train the same in the same folder, {folder.name}: "
                "leave one out, or give one all the measures"
            )
        planned.append(Planned(trial, folder, state_of(trial, Run(folder), examples=data["train"])))
    return planned


class DataSets:
    """Descriptions of the trials' data; the last set read stays in memory for other subsets of it."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.known: dict[tuple[str | int | None, ...], dict[str, Any]] = {}
        self.last: tuple[tuple[str, str], Split] | None = None

    def described(self, trial: Trial) -> dict[str, Any]:
        """The trial's data set as recorded."""
        job, name = trial.job, (trial.job.network, trial.source)
        sizes = {"train_size": job.train_size, "test_size": job.test_size}
        key = (*name, *sizes.values(), None if set(sizes.values()) == {None} else job.seed)
        if key not in self.known:
            if self.last is None or self.last[0] != name:
                self.last = name, whole(*name, progress=self.progress)
            self.known[key] = described(cut(self.last[1], **sizes, seed=job.seed))
        return self.known[key]


def folder_of(trial: Trial, data: dict[str, Any], runs: Path, device: torch.device) -> Path:
    """Where a trial's run lies."""
    return place(runs, trial.job.network, trial.job.settings(data, device))


def state_of(trial: Trial, run: Run, *, examples: int) -> State:
    """How far a run is, from the files in its folder."""
    if not run.folder.exists():
        return "to do"
    trained = all((run.folder / f"{name}.safetensors").exists() for name in trial.job.files(trial.iterates).values())
    return "complete" if trained and is_evaluated(trial, run) and is_measured(trial, run, examples) else "begun"


def is_evaluated(trial: Trial, run: Run) -> bool:
    """Whether the path between a pair is."""
    job = trial.job
    return not isinstance(job, Job) or len(run.read_lines(job.grid.file)) == job.points


def is_measured(trial: Trial, run: Run, examples: int) -> bool:
    """Whether all of its measures are taken at all of its minimizers."""
    job, how = trial.job, evaluation(trial, examples)
    return all(kept_row(run, point, measure, how) for point in job.files(trial.iterates) for measure in trial.measures)
