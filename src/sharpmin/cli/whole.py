"""`sharpmin paper all`: everything of the paper that can be made here, and one page of it.

A plain list of steps for each network; each is a verb or a sweep, so that each goes on where it was interrupted. A step
that fails is told in the end and on the page, and does not stop the others.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

from cyclopts import Parameter

from sharpmin.cli.appendix_e import remedies
from sharpmin.cli.figures import batch_sizes, sharpness_along, warm_start
from sharpmin.cli.reproducing import PLACE, RECIPE, Reproduction, carried_out, command, extent
from sharpmin.cli.sweep import Engine, device_of, shares
from sharpmin.errors import RunError, SharpminError

if TYPE_CHECKING:
    from sharpmin.landscape.paths import Kind
    from sharpmin.paper.budget import Extent
    from sharpmin.paper.jobs import Job
    from sharpmin.report.entries import Part
    from sharpmin.sweep.trial import Trial

POINTS = 25
"""Of the authors' curves."""


@dataclass(frozen=True)
class Step:
    """A part of the work for one network: the entries of the paper that it makes, and how."""

    entries: tuple[str, ...]
    carry_out: Callable[["Step", Reproduction], "Part"]


def everything(
    *,
    networks: Annotated[list[str] | None, Parameter(name=["--networks", "-n"], consume_multiple=1, negative="")] = None,
    page: Annotated[Path, Parameter(name=["--page", "-o"])] = Path("paper.html"),
    budget: Annotated[str, Parameter(group=RECIPE)] = "full",
    seed: Annotated[int, Parameter(group=RECIPE)] = 0,
    precision: Annotated[Literal["float32", "tf32", "bfloat16"], Parameter(group=RECIPE)] = "float32",
    data: Annotated[str | None, Parameter(group=RECIPE)] = None,
    speech: Annotated[str | None, Parameter(group=RECIPE)] = None,
    engine: Annotated[Engine, Parameter(group=PLACE)] = "local",
    workers: Annotated[int | None, Parameter(group=PLACE)] = None,
    threads: Annotated[int | None, Parameter(group=PLACE)] = None,
    gpus: Annotated[float, Parameter(group=PLACE)] = 0,
    slurm: Annotated[list[str] | None, Parameter(group=PLACE, consume_multiple=1, negative="")] = None,
    out: Annotated[Path, Parameter(group=PLACE)] = Path(),
    device: Annotated[str | None, Parameter(group=PLACE)] = None,
    quiet: Annotated[bool, Parameter(group=PLACE, negative="")] = False,
) -> None:
    """Make every table and figure of the paper that can be made here, and one HTML page of them.

    Trains and measures network by network; what is complete in runs/ is not done again. Interrupted or failed, the same
    command goes on. The page is written after each step and needs no network.

    Parameters
    ----------
    networks
        Of F1 F2 C1 C2 C3 C4; by default all whose data can be had here. The others are left out with the reason.
    page
        The page.
    budget
        The most of each that is used, such as images=5000,epochs=3,trials=1: training examples (a class-balanced
        subset; the large batch is a tenth of it), epochs of each training, seeds; test=1000 for fewer to test
        on. It is said wherever it shows.
    seed
        The first seed.
    precision
        Arithmetic of training, tf32 on a GPU only; the evaluation is always in float32.
    data
        For every network in place of its own: "synthetic" for made-up data, or a folder that holds the files.
    speech
        Your speech frames for F2: an .npz, or a folder of Kaldi's archives.
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
    from sharpmin.paper.budget import Budget
    from sharpmin.paper.recipes import RECIPES, recipe
    from sharpmin.runs import check_output

    check_output(page)
    Budget.parse(budget)  # before anything is fetched
    shares(1, engine=engine, workers=workers, threads=threads, device=device_of(device, gpus=gpus, engine=engine))
    chosen = [recipe(name).network for name in networks or RECIPES]
    same = Reproduction(
        network=" ".join(networks or ()),
        budget=budget,
        seed=seed,
        precision=precision,
        data=data,
        engine=engine,
        workers=workers,
        threads=threads,
        gpus=gpus,
        slurm=slurm,
        out=out,
        device=device,
        quiet=quiet,
    )
    each = [replace(same, network=n, data=speech if n == "F2" and speech else data) for n in dict.fromkeys(chosen)]
    found, skipped = at_hand(each)
    done = carry_out_all(found, skipped, page, command=said(same, speech))
    conclude(done, skipped if networks else [], page)


def at_hand(each: Sequence[Reproduction]) -> tuple[list[Reproduction], list[tuple[str, str]]]:
    """Those networks whose data can be had, and of the others the reason why not."""
    from sharpmin.console import progress
    from sharpmin.paper.inputs import whole
    from sharpmin.paper.recipes import recipe

    found, skipped = [], []
    for options in each:
        try:
            with progress(quiet=options.quiet) as report:
                whole(options.network, options.data or recipe(options.network).data, progress=report)
            found.append(options)
        except SharpminError as error:
            print(f"{options.network} is left out: {error}")
            skipped.append((options.network, str(error)))
    return found, skipped


def carry_out_all(
    found: Sequence[Reproduction], skipped: Sequence[tuple[str, str]], page: Path, *, command: str
) -> "list[Part]":
    """Every step for every network, and the page after each."""
    from sharpmin.report import reproduction

    done: list[Part] = []
    reproduction.write(done, skipped, page, command=command)
    for options in found:
        for step in STEPS:
            print(f"{options.network}: {', '.join(step.entries)}")
            done.append(attempted(step, options))
            reproduction.write(done, skipped, page, command=command)
    return done


def attempted(step: Step, options: Reproduction) -> "Part":
    """What the step made, or why it made nothing."""
    from sharpmin.report.entries import Part
    from sharpmin.sweep.work import one_line

    try:
        return step.carry_out(step, options)
    except Exception as error:  # hours of other work should not be lost for it
        return Part(step.entries, options.network, problem=one_line(error))


def conclude(done: "Sequence[Part]", wanted: Sequence[tuple[str, str]], page: Path) -> None:
    """Say where the page is and what failed, and raise if anything did."""
    failed = [part for part in done if part.problem]
    print(f"Page saved as {page}")
    for part in failed:
        print(f"failed: {part.network}, {', '.join(part.entries)}: {part.problem}", file=sys.stderr)
    if wanted:
        raise RunError(f"there are no data for {', '.join(network for network, _ in wanted)}: the reason is above")
    if failed:
        raise RunError(f"{len(failed)} of {len(done)} parts failed; the same command goes on with what is missing")


def said(options: Reproduction, speech: str | None) -> str:
    """The command, without what says only where and how."""
    whole = command("all", options, speech=speech)
    return whole if options.network else whole.replace(" -n ", "", 1).rstrip()


def pairs(step: Step, options: Reproduction) -> "Part":
    """Small-batch and large-batch minimizers from each seed, and Metric 2.1 at all of them."""
    return of_runs(step, options, runs_of(options, left := most(options)), left)


def along(path: "Kind", step: Step, options: Reproduction) -> "Part":
    """The loss from one minimizer to the other, for the first of the pairs."""
    left = most(replace(options, trials=1))
    (trial,) = runs_of(options, left)
    curve = replace(cast("Job", trial.job), path=path, points=POINTS)
    return of_runs(step, options, [replace(trial, job=curve, measures=())], left)


def most(options: Reproduction) -> "Extent":
    """What the budget leaves of trainings until converged."""
    from sharpmin.sweep.recipes import MOST_EPOCHS

    return extent(options, epochs=MOST_EPOCHS)


def runs_of(options: Reproduction, left: "Extent") -> "list[Trial]":
    """The pairs of a network."""
    from sharpmin.sweep.recipes import trials
    from sharpmin.train_config import TrainConfig

    return trials(options.network, left, config=TrainConfig(precision=options.precision), data=options.data)


def of_runs(step: Step, options: Reproduction, trials: "Sequence[Trial]", left: "Extent") -> "Part":
    """The trials carried out."""
    from sharpmin.report.entries import Part

    folders = tuple(run.folder for run in carried_out(trials, options))
    return Part(step.entries, options.network, runs=folders, scaled=left.scaled)


def figure(verb: Callable[..., None], name: str, step: Step, options: Reproduction) -> "Part":
    """A figure or table of many runs by its own verb, which leaves its numbers."""
    from sharpmin.disk import read_json
    from sharpmin.report.entries import Part

    verb(options=options)
    file = options.out / "Figures" / f"{options.network}-{name}.json"
    return Part(step.entries, options.network, figure=file, scaled=read_json(file)["provenance"]["scaled"])


STEPS = (
    Step(("Table 2", "Table 3", "Table 4", "Figure 2", "Section 2.2.1"), pairs),
    Step(("Figure 3",), partial(along, "line")),
    Step(("Figure 4",), partial(figure, batch_sizes, "batch-sizes")),
    Step(("Figure 5",), partial(figure, warm_start, "warm-start")),
    Step(("Figure 6",), partial(figure, sharpness_along, "sharpness-along")),
    Step(("Figure 7",), partial(along, "arc")),
    Step(("Appendix E",), partial(figure, remedies, "remedies")),
)
