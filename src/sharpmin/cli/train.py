"""`sharpmin train`: one training of a network of the paper, and how f curves along it."""

from typing import Annotated, Any

from cyclopts import Group, Parameter

from sharpmin.cli.measuring import show
from sharpmin.cli.remedies import Remedies, chosen
from sharpmin.cli.together import settle
from sharpmin.cli.training import TRAINING, Options, config, load

WATCHING = Group("Monitor", sort_key=3)
NAMES = ("loss", "distance", "lambda-max", "noise-scale", "metric-2.1")


def train(
    *,
    options: Options,
    batch_size: Annotated[int, Parameter(group=TRAINING)] = 256,
    optimizer: Annotated[str, Parameter(group=TRAINING)] = "adam",
    momentum: Annotated[float, Parameter(group=TRAINING)] = 0.0,
    remedies: Remedies | None = None,
    monitor: Annotated[bool, Parameter(group=WATCHING, negative="")] = False,
    monitor_every: Annotated[int, Parameter(group=WATCHING)] = 100,
    monitor_share: Annotated[float, Parameter(group=WATCHING)] = 0.1,
    monitor_examples: Annotated[int, Parameter(group=WATCHING)] = 2000,
    measures: Annotated[list[str] | None, Parameter(group=WATCHING, consume_multiple=1, negative="")] = None,
) -> None:
    """Train a network once, into a run folder; with --monitor, measure how f curves meanwhile.

    A killed training goes on where it was, to the same bits; a finished one is not trained again. The minimizer is
    solution.safetensors in the run folder, the rows of --monitor are curvature.jsonl beside it.

    Parameters
    ----------
    options
        See `sharpmin.cli.training`.
    batch_size
        Examples per step.
    optimizer
        adam, sgd or adagrad; or a torch.optim.Optimizer of your own or of another package, by its importable name:
        package.module:Class. It needs --learning-rate.
    momentum
        Of sgd.
    remedies
        See `sharpmin.cli.remedies`.
    monitor
        Measure every so many steps on a part of the training set; the training has the same bits as without.
    monitor_every
        Steps from one row to the next.
    monitor_share
        The part of the time that measuring may take; rows that would take more are put off. 1 for no limit.
    monitor_examples
        Measure on a class-balanced part of the training set of so many examples at most.
    measures
        loss, distance (from the starting point), lambda-max (of the Hessian), noise-scale, metric-2.1; all by default.
    """
    from sharpmin.console import progress
    from sharpmin.paper import single
    from sharpmin.paper.jobs import Single

    made = config(options, batch_size=batch_size, optimizer=optimizer, momentum=momentum, **chosen(remedies))
    job = Single(options.network, options.seed, made, options.train_size)
    asked = single.Watch(monitor_every, monitor_share, monitor_examples, tuple(measures or NAMES))
    place = settle(threads=options.threads, device=options.device)
    with progress(quiet=options.quiet or place.group.rank > 0) as report:
        with place.group.one_after_rank_0():
            split = load(options, progress=report)
        state, run = single.compute(
            job,
            split,
            runs=options.out / "runs",
            environment=place.environment,
            watch=asked if monitor else None,
            device=place.device,
            progress=report,
            group=place.group,
        )
    print(summary(state.history[-1]))
    print(f"Run folder: {run.folder}")
    if monitor:
        steps = made.steps_until(state.epochs, examples=len(split.train))
        show_rows(run.folder / single.CURVATURE, due=1 + steps // monitor_every)


def summary(last: Any) -> str:
    """The last epoch in a line."""
    return (
        f"epoch {last.epoch}:  "
        f"train loss {last.train_loss:.4f}, accuracy {100 * last.train_accuracy:.2f}% as trained;  "
        f"test loss {last.test_loss:.4f}, accuracy {100 * last.test_accuracy:.2f}%"
    )


def show_rows(file: Any, *, due: int) -> None:
    """Say where the rows are, and print the first and the last ones."""
    from rich.table import Table

    from sharpmin.monitor import read_rows

    rows = read_rows(file)
    if not rows:
        print("Nothing was measured: this training had finished before.")
        return
    names = [name for name in NAMES if any(name in row for row in rows)]
    shown = Table("step", *names, box=None)
    for row in rows[:1] + rows[1:][-5:]:
        shown.add_row(str(row["step"]), *(f"{row[name]:.4g}" if name in row else "failed" for name in names))
    left = ", the others left out to keep --monitor-share" if len(rows) < due else ""
    print(f"Curvature: {file}, {len(rows)} of the {due} rows due{left}; the first and the last:")
    show(shown)
    failed = {name: error for row in rows for name, error in row["errors"].items()}
    for name, error in failed.items():
        print(f"{name}: {error}")
