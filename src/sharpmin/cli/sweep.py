"""`sharpmin sweep`: a list of runs, on this machine, a Ray cluster or Slurm."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from sharpmin.cli.measuring import show
from sharpmin.errors import RunError, UsageError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from sharpmin.progress import Progress
    from sharpmin.sweep.driver import Failure
    from sharpmin.sweep.plan import Planned
    from sharpmin.train_config import TrainConfig

SHARES = Group("Workers", sort_key=1)
PLACE = Group("Where and how", sort_key=2)
Engine = Literal["local", "ray", "slurm"]


def sweep(
    recipe: str,
    /,
    *,
    engine: Engine = "local",
    workers: Annotated[int | None, Parameter(group=SHARES)] = None,
    threads: Annotated[int | None, Parameter(group=SHARES)] = None,
    gpus: Annotated[float, Parameter(group=SHARES)] = 0,
    slurm: Annotated[list[str] | None, Parameter(group=SHARES, consume_multiple=1, negative="")] = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    data: str | None = None,
    budget: str = "full",
    out: Annotated[Path, Parameter(group=PLACE)] = Path(),
    device: Annotated[str | None, Parameter(group=PLACE)] = None,
    quiet: Annotated[bool, Parameter(group=PLACE, negative="")] = False,
) -> None:
    """Carry out every run of a recipe that is not complete: train, evaluate, measure.

    A run that fails does not stop the others; a run whose worker is lost is started again. Interrupted or failed, the
    same command goes on with what is missing, also on another engine.

    Parameters
    ----------
    recipe
        package.module:function or file.py:function, whose call returns the list of runs; or a built-in recipe:
        f1-trials, f1-batch-sizes, f1-sharpness-along, and likewise f2-, c1-, c2-, c3- and c4-.
    engine
        local: a process a run on this machine. ray: the cluster of RAY_ADDRESS, else the one that `ray start` began
        here, else this machine. slurm: a job a run.
    workers
        Runs at once. Locally one for each processor, or one on a GPU; otherwise all, and the cluster decides.
    threads
        Processor threads of a run. Locally OMP_NUM_THREADS, else the processors divided by the workers; otherwise 1.
    gpus
        GPUs of a run on ray (or a share of one, such as 0.5) or slurm.
    slurm
        Options of sbatch, such as partition=gpu time=12:00:00.
    dry_run
        List the runs, their folders and how far each is; do nothing.
    data
        Of a built-in recipe: a data set by name instead of the network's own, "synthetic" for made-up data of the
        network's shape, a folder that holds the files, or for F2 your speech frames.
    budget
        Of a built-in recipe: the most of each that is used, such as images=5000,epochs=3,trials=1,test=1000.
    out
        Folder for runs/.
    device
        cpu, cuda or cuda:N; cpu by default, with --gpus cuda.
    quiet
        No progress.
    """
    from sharpmin.console import progress
    from sharpmin.paper.budget import Budget
    from sharpmin.sweep.plan import plan
    from sharpmin.sweep.recipes import load_recipe

    where = device_of(device, gpus=gpus, engine=engine)
    shares(1, engine=engine, workers=workers, threads=threads, device=where)  # what cannot be is refused at once
    folder = out / "runs"
    trials = load_recipe(recipe, data=data, budget=Budget.parse(budget))
    with progress(quiet=quiet) as report:
        planned = plan(trials, runs=folder, device=where, progress=report)
        if dry_run:
            listed(planned)
            return
        failures = finish_all(
            planned,
            runs=folder,
            engine=engine,
            workers=workers,
            threads=threads,
            gpus=gpus,
            slurm=slurm or [],
            device=where,
            progress=report,
        )
    conclude(planned, failures, folder)


def finish_all(
    planned: "Sequence[Planned]",
    *,
    runs: Path,
    engine: Engine,
    workers: int | None,
    threads: int | None,
    gpus: float,
    slurm: Sequence[str],
    device: str,
    progress: "Progress",
) -> "list[Failure]":
    """Carry out the runs that are not complete on the engine of that name, and give those that failed."""
    from sharpmin.sweep.driver import carry_out

    at_once, each = shares(len(planned), engine=engine, workers=workers, threads=threads, device=device)
    if all(run.state == "complete" for run in planned):
        return []
    chosen = executor(engine, runs, at_once, each, gpus=gpus, options=slurm)
    return carry_out(planned, chosen, runs=runs, device=device, threads=each, at_once=at_once, progress=progress)


def device_of(name: str | None, *, gpus: float, engine: Engine) -> str:
    """The device of each worker."""
    if gpus and engine == "local":
        raise UsageError("--gpus is for --engine ray and slurm, which share out several: name the one here by --device")
    if gpus and (name or "cuda") != "cuda":
        raise UsageError(f"--gpus {gpus:g} with --device {name}: leave one of them out")
    name = name or ("cuda" if gpus else "cpu")
    if name == "auto":
        raise UsageError("--device auto: a run's folder depends on the device, so name it: cpu or cuda")
    if engine == "local":
        from sharpmin.runtime import resolve_device

        resolve_device(name)
    return name


def shares(runs: int, *, engine: Engine, workers: int | None, threads: int | None, device: str) -> tuple[int, int]:
    """How many runs at once, and the threads of each.

    By the number of all runs, complete or not: a sweep that is resumed uses as many threads as before.
    """
    from sharpmin.runtime import asked_threads, available_processors, check_threads

    for flag, given in (("--workers", workers), ("--threads", threads)):
        if given is not None and given < 1:
            raise UsageError(f"{flag} {given}: give at least 1")
    if engine != "local":
        return workers or runs, threads or 1
    threads = threads or asked_threads()
    if threads:
        check_threads(threads)
    processors = available_processors()
    most = 1 if device.startswith("cuda") else max(1, processors // (threads or 1))
    at_once = workers or min(most, runs)
    return at_once, threads or max(1, processors // at_once)


def executor(
    engine: Engine, folder: Path, at_once: int, threads: int, *, gpus: float, options: Sequence[str]
) -> "Executor":
    """The engine of that name."""
    from sharpmin.sweep.local import Local
    from sharpmin.sweep.ray import Ray
    from sharpmin.sweep.slurm import Slurm

    if options and engine != "slurm":
        raise UsageError("--slurm gives options of sbatch: it needs --engine slurm")
    if engine == "local":
        return Local(at_once)
    if engine == "ray":
        return Ray(cpus=threads, gpus=gpus)
    if gpus != int(gpus):
        raise UsageError(f"--gpus {gpus:g}: a Slurm job has whole ones")
    bad = next((text for text in options if "=" not in text), None)
    if bad is not None:
        raise UsageError(f"--slurm {bad}: give name=value, as in partition=gpu")
    named = dict(text.split("=", 1) for text in options)
    return Slurm(folder.resolve() / ".slurm", jobs=at_once, cpus=threads, gpus=int(gpus), options=named)


def listed(planned: "Sequence[Planned]") -> None:
    """Print the runs, their folders and how far they are."""
    from rich.table import Table

    from sharpmin.sweep.trial import named

    shown = Table("run folder", "data", "seed", "batch x epochs", "measures", "state", box=None)
    for run in planned:
        job = run.trial.job
        trainings = ", ".join(map(in_short, run.trial.job.configs))
        measures = ", ".join(dict.fromkeys(named(measure)[0] for measure in run.trial.measures))
        shown.add_row(str(run.folder), run.trial.source, str(job.seed), trainings, measures or "-", run.state)
    show(shown)
    complete = sum(run.state == "complete" for run in planned)
    print(f"{complete} of {len(planned)} runs complete")


def in_short(config: "TrainConfig") -> str:
    """A training as a list of runs has it."""
    epochs = "until converged" if config.until_converged else config.epochs
    return " + ".join([f"{config.batch_size} x {epochs}", *config.remedies])


def conclude(planned: "Sequence[Planned]", failures: "Sequence[Failure]", folder: Path) -> None:
    """Say what is complete; list what failed, and raise if anything did."""
    print(f"{len(planned) - len(failures)} of {len(planned)} runs complete, in {folder}")
    for failure in failures:
        print(f"failed: {failure.folder.name}: {failure.error}", file=sys.stderr)
        if os.environ.get("SHARPMIN_TRACEBACK"):
            print(failure.traceback, file=sys.stderr)
    if failures:
        raise RunError(f"{len(failures)} of {len(planned)} runs failed; the same command goes on with what is missing")
