"""The measures of a trial: taken at each of its minimizers, a row each in the run folder, and none taken twice."""

from typing import Any

import torch

from sharpmin.data import Split
from sharpmin.rows import keep, kept
from sharpmin.runs import Run
from sharpmin.subjects import Evaluation, Subject, of_run
from sharpmin.sweep.trial import Measure, Trial, named


def measure(trial: Trial, run: Run, split: Split, *, environment: dict[str, Any], device: torch.device) -> None:
    """Take the measures whose rows are not there, and add them."""
    subject = subject_of(trial, run, split, device)
    for point in subject.points:
        missing = [m for m in trial.measures if not kept_row(run, point, m, evaluation(trial, len(split.train)))]
        if not missing:
            continue
        objective = subject.journal(point)
        for measure in missing:
            name, options = named(measure)
            asked = {**options, **evaluation(trial, len(split.train))}
            keep(run, name, point, measure(objective), asked=asked, environment=environment)
        objective.forget()


def kept_row(run: Run, point: str, measure: Measure, evaluated: dict[str, Any]) -> dict[str, Any] | None:
    """The row of this very measurement, or None."""
    name, options = named(measure)
    return kept(run, name, point, {**options, **evaluated})


def evaluation(trial: Trial, examples: int) -> dict[str, Any]:
    """How f is evaluated, as kept beside a result: as in the paper."""
    batch = min(trial.job.evaluation_batch, examples)
    return {"batch_norm": "batch", "batch_size": batch, "precision": "float32", "only": None}


def subject_of(trial: Trial, run: Run, split: Split, device: torch.device) -> Subject:
    """The trained minimizers, and the iterates that are kept."""
    how = Evaluation(**{**evaluation(trial, len(split.train)), "device": device})
    return of_run(run.folder, split, how, trial.job.files(trial.iterates))
