"""What all measuring verbs share: their options, and from them the subject with its surroundings."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from sharpmin.cli.own_code import own_code
from sharpmin.cli.together import settle
from sharpmin.errors import UsageError
from sharpmin.rows import as_file

if TYPE_CHECKING:
    from sharpmin.progress import Progress
    from sharpmin.subjects import Subject

HOW = Group("How f is evaluated", sort_key=8)
WHERE = Group("Where and how", sort_key=9)
PROSE = 24  # columns wider than this may be wrapped, down to it


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """Options of every measuring verb.

    Parameters
    ----------
    batch_norm
        What BatchNorm does: "running" uses the stored statistics, "batch" those of the evaluation batch, "recalibrate"
        estimates them anew from the data. Run folders: batch, as in the paper; your own model: running.
    evaluation_batch
        Examples per evaluation batch, which BatchNorm normalises together under "batch"; 5000, or the whole set where
        it is smaller. Data of your own that come in batches keep theirs.
    only
        Restrict theta to the parameters that match these patterns, such as 'layer4.*'; the others stay as they are.
    precision
        float32 computes in the dtype of the weights, bfloat16 under autocast; tf32 is a GPU's.
    data
        Of a run folder: where its data came from, if it was not the network's own set: as in sharpmin plot.
    out
        Folder for runs/, where the results of a task go; a run folder keeps its own.
    device
        cpu, cuda, cuda:N or auto.
    threads
        Processor threads; by default OMP_NUM_THREADS, else all that this process may use.
    quiet
        No progress.
    """

    batch_norm: Annotated[Literal["running", "batch", "recalibrate"] | None, Parameter(group=HOW)] = None
    evaluation_batch: Annotated[int | None, Parameter(group=HOW)] = None
    only: Annotated[list[str] | None, Parameter(group=HOW, consume_multiple=1, negative="")] = None
    precision: Annotated[Literal["float32", "tf32", "bfloat16"], Parameter(group=HOW)] = "float32"
    data: Annotated[str | None, Parameter(group=HOW)] = None
    out: Annotated[Path, Parameter(group=WHERE)] = Path()
    device: Annotated[str, Parameter(group=WHERE)] = "cpu"
    threads: Annotated[int | None, Parameter(group=WHERE)] = None
    quiet: Annotated[bool, Parameter(group=WHERE, negative="")] = False


@dataclass(frozen=True)
class Setting:
    """The subject of a command, with what surrounds it."""

    subject: "Subject"
    environment: dict[str, Any]
    progress: "Progress"


@contextmanager
def measuring(
    source: str, checkpoints: tuple[str, ...], options: Options | None, *, by_gradients: bool = False
) -> Iterator[Setting]:
    """Tune the process, load the data and the points, and show progress meanwhile.

    Of somebody's task it warns of what is random in f, and of gradients that are not f's where they are to be taken.
    """
    from sharpmin import subjects
    from sharpmin.consistency import is_not_its_gradient
    from sharpmin.console import progress
    from sharpmin.determinism import what_is_random
    from sharpmin.paper.inputs import MADE_UP

    options = options or Options()
    check_batch(options.evaluation_batch)
    place = settle(threads=options.threads, device=options.device)
    ours = Path(source).is_dir()
    evaluation = subjects.Evaluation(
        batch_norm=options.batch_norm or ("batch" if ours else None),
        batch_size=options.evaluation_batch,
        device=place.device,
        precision=options.precision,
        only=options.only,
        group=place.group,
    )
    with progress(quiet=options.quiet or place.group.rank > 0) as report, nullcontext() if ours else own_code(source):
        if ours:
            if checkpoints and (Path(source) / "settings.json").exists():
                raise UsageError(
                    f"{source} is a run folder and has its own two minimizers: give no checkpoints with it"
                )
            with place.group.one_after_rank_0():
                split = data_of_run(Path(source), options.data, report)
            if split.synthetic:
                print(MADE_UP)
            subject = subjects.of_run(Path(source), split, evaluation)
        else:
            subject = subjects.of_task(source, checkpoints, evaluation, runs=options.out / "runs")
            f = subject.at(next(iter(subject.points)))
            warn(what_is_random(f))
            warn(is_not_its_gradient(f) if by_gradients else None)
        yield Setting(subject, place.environment, report)


def check_batch(size: int | None) -> None:
    """Refuse an evaluation batch of nothing."""
    if size is not None and size < 1:
        raise UsageError(f"--evaluation-batch {size}: give at least 1")


def data_of_run(folder: Path, name: str | None, report: "Progress") -> Any:
    """The data that a run was trained on."""
    from sharpmin.paper.inputs import load_data
    from sharpmin.subjects import TRAINED, points_of, settings_of

    settings = settings_of(folder, points_of(folder), TRAINED)
    return load_data(
        settings["network"],
        name or settings["data"]["name"],
        train_size=settings["train_size"],
        test_size=settings.get("test_size"),
        seed=settings["seed"],
        progress=report,
    )


def figure_name(subject: "Subject", what: str) -> str:
    """The name of a figure's files; points of run folders are all called alike, so the run is named as well."""
    return as_file(what if subject.network is None else f"{subject.run.folder.name} {what}")


def warn(sentence: str | None) -> None:
    """Show a warning, where there is one."""
    import warnings

    if sentence:
        warnings.warn(sentence, stacklevel=2)


def labelled(report: "Progress", label: str) -> "Progress":
    """The same progress under another task's name."""

    def told(task: str, done: int, total: int | None, *, unit: str = "", note: str = "") -> None:
        report(f"{task}, {label}", done, total, unit=unit, note=note)

    return told


def show(table: Any) -> None:
    """Print a table with nothing cut off: prose is wrapped, and where that is not enough a row becomes a record."""
    from rich.cells import cell_len
    from rich.console import Console

    console, needed = Console(), 0
    for column in table.columns:
        width = max(cell_len(text) for text in (column.header, *column.cells))
        column.no_wrap, column.overflow = width <= PROSE, "fold"
        needed += min(width, PROSE) + 2
    if not console.is_terminal:
        Console(width=max(200, needed)).print(table)
    elif needed <= console.width:
        console.print(table)
    else:
        show_records(table, console)


def show_records(table: Any, console: Any) -> None:
    """Print a table row by row: the first cell, and below it the others with their heads."""
    from rich.table import Table

    heads = [column.header for column in table.columns]
    for first, *others in zip(*(column.cells for column in table.columns), strict=True):
        console.print(f"{heads[0]} {first}".strip())
        record = Table.grid(padding=(0, 2), pad_edge=True)
        record.add_column(no_wrap=True)
        record.add_column(overflow="fold")
        for head, cell in zip(heads[1:], others, strict=True):
            if cell:
                record.add_row(head, cell)
        console.print(record)
    if table.caption:
        console.print(table.caption)
