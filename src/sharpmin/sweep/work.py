"""One run from its start to its end, in whichever process an engine gives it.

Every engine calls `work` with an order and gets an outcome; a run that fails is an outcome too. What an engine raises
instead is then always the loss of a worker.
"""

import pickle
import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from traceback import format_exc
from typing import Any

from sharpmin import runtime
from sharpmin.errors import SharpminError
from sharpmin.paper import parametric, single
from sharpmin.paper.inputs import load_data
from sharpmin.paper.jobs import Job
from sharpmin.runs import Run
from sharpmin.sweep.measuring import measure
from sharpmin.sweep.trial import Trial

TOKEN = ".sweep"


@dataclass(frozen=True)
class Order:
    """A run as it travels to a worker.

    Attributes:
        trial: pickled, because its measures can be imported only where `path` is known.
        path: where the driver's Python looks for modules.
        runs: the driver's folder of runs.
        token: what the driver wrote to `TOKEN` there: a worker that reads it shares the folder.
        device: to compute on, "cpu" or "cuda" or "cuda:N".
        threads: of PyTorch.

    """

    trial: bytes
    path: tuple[str, ...]
    runs: str
    token: str
    device: str
    threads: int


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        error: what went wrong in one line, or None.
        traceback: where it went wrong.
        files: the run folder, by path below the folder of runs, where the worker does not share the driver's.

    """

    error: str | None = None
    traceback: str = ""
    files: dict[str, bytes] = field(default_factory=dict)


def work(order: Order) -> Outcome:
    """Carry out an order: train, evaluate and measure what is not there yet."""
    sys.path[:0] = [place for place in order.path if place not in sys.path]
    try:
        trial = pickle.loads(order.trial)  # noqa: S301  from our own driver
        if shares(order):
            finish(trial, runs=Path(order.runs), device=order.device, threads=order.threads)
            return Outcome()
        with TemporaryDirectory(prefix="sharpmin-") as folder:
            run = finish(trial, runs=Path(folder), device=order.device, threads=order.threads)
            found = [file for file in run.folder.rglob("*") if file.is_file()]  # not of a warm start's training
            return Outcome(files={str(file.relative_to(folder)): file.read_bytes() for file in found})
    except Exception as error:
        return Outcome(one_line(error), format_exc())


def shares(order: Order) -> bool:
    """Whether the driver's folder of runs is this process's too."""
    token = Path(order.runs) / TOKEN
    return token.exists() and token.read_text(encoding="utf-8") == order.token


def finish(trial: Trial, *, runs: Path, device: str, threads: int) -> Run:
    """Bring a run to its end, and give its folder; what is there already is read."""
    tuned = runtime.tune(threads=threads)
    where = runtime.resolve_device(device)
    environment = runtime.tuned_environment(tuned, device=where)
    job = trial.job
    split = load_data(job.network, trial.source, train_size=job.train_size, test_size=job.test_size, seed=job.seed)
    how: Any = {"runs": runs, "environment": environment, "device": where}
    if isinstance(job, Job):
        _, run = parametric.compute(job, split, **how)
    else:
        _, run = single.compute(job, split, iterates=trial.iterates, **how)
    measure(trial, run, split, environment=environment, device=where)
    return run


def one_line(error: BaseException) -> str:
    """An exception in one line; our own sentences as they are."""
    said = " ".join(str(error).split())
    return said if isinstance(error, SharpminError) else f"{type(error).__name__}: {said}"
