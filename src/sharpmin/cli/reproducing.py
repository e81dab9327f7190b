"""What the verbs share that reproduce a table or figure of the paper by a sweep: their options, and how it is done.

A verb asks `extent` how much of its recipe the budget leaves, makes the list of runs, and gives it to `carried_out`.
All results lie in the run folders then: an interrupted verb goes on, and a finished one only reads them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from sharpmin.cli.sweep import Engine, conclude, device_of, finish_all
from sharpmin.errors import UsageError

if TYPE_CHECKING:
    from sharpmin.paper.budget import Extent
    from sharpmin.sweep.plan import Planned
    from sharpmin.sweep.trial import Trial

RECIPE = Group("How much of the paper's recipe", sort_key=1)
PLACE = Group("Where and how", sort_key=3)
# no part of what is computed:
UNSAID = ("network", "engine", "workers", "threads", "gpus", "slurm", "device", "out", "quiet")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """Options of every verb that reproduces a part of the paper by a sweep.

    Parameters
    ----------
    network
        F1, F2, C1, C2, C3 or C4.
    budget
        The most of each that is used, such as images=5000,epochs=3,trials=1: training examples (a class-balanced
        subset; the large batch is a tenth of it), epochs of each training, seeds; test=1000 for fewer to test
        on. It is said in the figure.
    epochs
        Passes over the training set, instead of the recipe's own.
    trials
        Seeds; the paper has five.
    seed
        The first seed.
    precision
        Arithmetic of training, tf32 on a GPU only; the evaluation is always in float32.
    data
        A data set by name instead of the network's own, "synthetic" for made-up data of the network's shape, a folder
        that holds the files, or for F2 your .npz of speech frames.
    engine
        local: a process a run on this machine. ray, slurm: as in sharpmin sweep.
    workers
        Runs at once; locally one for each processor.
    threads
        Processor threads of a run; locally OMP_NUM_THREADS, else the processors divided by the workers.
    gpus
        GPUs of a run on ray or slurm.
    slurm
        Options of sbatch, such as partition=gpu time=12:00:00.
    out
        Folder for Figures/ and runs/.
    device
        cpu, cuda or cuda:N; cpu by default, with --gpus cuda.
    quiet
        No progress.
    """

    network: Annotated[str, Parameter(name=["--network", "-n"])]
    budget: Annotated[str, Parameter(group=RECIPE)] = "full"
    epochs: Annotated[int | None, Parameter(group=RECIPE)] = None
    trials: Annotated[int, Parameter(group=RECIPE)] = 5
    seed: Annotated[int, Parameter(group=RECIPE)] = 0
    precision: Annotated[Literal["float32", "tf32", "bfloat16"], Parameter(group=RECIPE)] = "float32"
    data: Annotated[str | None, Parameter(group=RECIPE)] = None
    engine: Annotated[Engine, Parameter(group=PLACE)] = "local"
    workers: Annotated[int | None, Parameter(group=PLACE)] = None
    threads: Annotated[int | None, Parameter(group=PLACE)] = None
    gpus: Annotated[float, Parameter(group=PLACE)] = 0
    slurm: Annotated[list[str] | None, Parameter(group=PLACE, consume_multiple=1, negative="")] = None
    out: Annotated[Path, Parameter(group=PLACE)] = Path()
    device: Annotated[str | None, Parameter(group=PLACE)] = None
    quiet: Annotated[bool, Parameter(group=PLACE, negative="")] = False


def extent(options: Reproduction, *, epochs: int) -> "Extent":
    """How much of a recipe of so many epochs the budget leaves; reads the data for their numbers.

    Raises:
        SharpminError: the budget cannot be understood, or the data cannot be had.

    """
    from sharpmin.console import progress
    from sharpmin.paper.budget import Budget
    from sharpmin.paper.inputs import whole
    from sharpmin.paper.recipes import recipe

    budget, name = Budget.parse(options.budget), options.data or recipe(options.network).data
    epochs = epochs if options.epochs is None else options.epochs
    for flag, given in (("--epochs", epochs), ("--trials", options.trials)):
        if given < 1:
            raise UsageError(f"{flag} {given}: give at least 1")
    with progress(quiet=options.quiet) as report:
        split = whole(options.network, name, progress=report)
    images, test = len(split.train), len(split.test)
    return budget.extent(images=images, test=test, epochs=epochs, trials=options.trials, seed=options.seed)


def carried_out(trials: "Sequence[Trial]", options: Reproduction) -> "list[Planned]":
    """Train and measure what is not there yet; give every run with its folder, in the order of the trials.

    Raises:
        RunError: a run failed; each is listed, the others are kept, and the same command goes on with what is missing.
        SharpminError: the list cannot be carried out.

    """
    from sharpmin.console import progress
    from sharpmin.sweep.plan import plan

    where = device_of(options.device, gpus=options.gpus, engine=options.engine)
    runs = options.out / "runs"
    with progress(quiet=options.quiet) as report:
        planned = plan(trials, runs=runs, device=where, progress=report)
        failures = finish_all(
            planned,
            runs=runs,
            engine=options.engine,
            workers=options.workers,
            threads=options.threads,
            gpus=options.gpus,
            slurm=options.slurm or [],
            device=where,
            progress=report,
        )
    conclude(planned, failures, runs)
    return planned


def command(verb: str, options: Reproduction, **own: Any) -> str:
    """The command that computes the same numbers, without what says only where and how.

    Args:
        verb: of `sharpmin paper`.
        options: those of every verb.
        own: the verb's, by name; None for one that was not given, a sequence for one of several values.

    Example:
        >>> command("batch-sizes", Reproduction(network="F1", budget="epochs=1"), sizes=[64, 128])
        'sharpmin paper batch-sizes -n F1 --budget epochs=1 --sizes 64 128'

    """
    given = {f.name: getattr(options, f.name) for f in fields(options) if f.name not in UNSAID}
    changed = {name: value for name, value in given.items() if value != getattr(Reproduction, name)}
    words = ["sharpmin", "paper", verb, "-n", options.network]
    for name, value in {**changed, **own}.items():
        if value is not None:
            values = value if isinstance(value, list | tuple) else [value]
            words += [f"--{name.replace('_', '-')}", *map(str, values)]
    return " ".join(words)
