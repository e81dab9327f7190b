"""`sharpmin paper`: the tables and figures of Keskar et al. 2017 that have no verb of their own, and a list of all."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from sharpmin.cli.appendix_e import remedies
from sharpmin.cli.figures import batch_sizes, sharpness_along, warm_start
from sharpmin.cli.measuring import show
from sharpmin.cli.saving import save
from sharpmin.cli.whole import everything
from sharpmin.errors import UsageError

paper_app = App(name="paper", help="The tables and figures of Keskar et al. 2017, each with the command that makes it.")
paper_app.command(everything, name="all")
paper_app.command(batch_sizes)
paper_app.command(warm_start)
paper_app.command(sharpness_along)
paper_app.command(remedies)


@paper_app.default
def contents(
    *unknown: Annotated[str, Parameter(show=False)],
    listed: Annotated[bool, Parameter(name="--list", negative="", show_default=False)] = True,
) -> None:
    """List every table and figure of the paper with its command.

    Parameters
    ----------
    unknown
        What is no command.
    listed
        The same as without it.
    """
    from rich.table import Table

    from sharpmin.paper.contents import CONTENTS

    if unknown:
        commands = ", ".join(name for name in paper_app if not name.startswith("-"))
        raise UsageError(f"paper has no command {unknown[0]!r}: choose among {commands}")
    shown = Table("", "shows", "command", box=None)
    for entry in CONTENTS:
        shown.add_row(entry.name, entry.shows, entry.command)
    show(shown)
    print("All of them that can be made here, and one page of them: sharpmin paper all")


@paper_app.command
def networks() -> None:
    """Table 1 and the data sets of appendix A: networks, weights, data, batch sizes."""
    from rich.table import Table

    from sharpmin.paper.configurations import DATA_SETS, configurations

    table_1 = Table("network", "architecture", "data", "weights", "small batch", "large batch", box=None)
    for row in configurations():
        sizes = (f"{number:,}" for number in (row.weights, row.small_batch, row.large_batch))
        table_1.add_row(row.network, row.architecture, row.data, *sizes)
    sets = Table("data", "training examples", "test examples", "features", "classes", box=None)
    for data in DATA_SETS.values():
        sets.add_row(data.name, f"{data.train:,}", f"{data.test:,}", data.features, f"{data.classes:,}")
    show(table_1)
    print()
    show(sets)


@paper_app.command
def training_curves(run: Path, /, *, out: Path = Path()) -> None:
    """Figure 2: training and test accuracy after each epoch, small-batch and large-batch.

    Saves Figures/RUN-training.pdf and .png. Training accuracy is that of the epoch as trained, dropout included.

    Parameters
    ----------
    run
        A run folder made by sharpmin plot.
    out
        Folder for Figures/.
    """
    from sharpmin import plots
    from sharpmin.data.record import titled
    from sharpmin.paper.jobs import REGIMES
    from sharpmin.runs import Run
    from sharpmin.subjects import TRAINED, settings_of

    settings = settings_of(run, needed=TRAINED)
    states = {regime: Run(run).load_state(name) for regime, name in REGIMES.items()}
    histories = {regime: state.history for regime, state in states.items() if state is not None}
    title = f"{settings['network']} on {titled(settings['data'])}"
    stem = out / "Figures" / f"{run.name}-training"
    save(stem, lambda: plots.training_curves(histories, title=title))


@paper_app.command
def distances(*runs: Path) -> None:
    """How far either minimizer is from the starting point they share (the paper: SB 3 to 10 times as far as LB).

    Parameters
    ----------
    runs
        Run folders made by sharpmin plot, one for each trial; single trainings among them are left out.
    """
    from rich.table import Table

    from sharpmin.paper.distances import PUBLISHED, distances
    from sharpmin.paper.inputs import MADE_UP
    from sharpmin.spread import spread
    from sharpmin.subjects import are_made_up, settings_of
    from sharpmin.trials import check_alike, pairs

    if not runs:
        raise UsageError("give one run folder or more")
    runs = pairs(runs) or runs
    check_alike({run: settings_of(run) for run in runs})
    found = {run.name: distances(run) for run in runs}
    shown = Table("run", "|x_SB - x0|", "|x_LB - x0|", "|x_SB - x_LB|", "SB / LB", box=None)
    for name, d in found.items():
        shown.add_row(name, *(f"{value:.4g}" for value in (d.small_batch, d.large_batch, d.between, d.ratio)))
    show(shown)
    ratio = spread(d.ratio for d in found.values())
    print(f"SB / LB: {ratio.fixed()} (n = {ratio.n}); the paper: {PUBLISHED[0]:g} to {PUBLISHED[1]:g}")
    if are_made_up(runs):
        print(MADE_UP)


@paper_app.command
def performance(
    *,
    efficiency: float,
    small_batch: int = 256,
    large_batch: int = 5000,
    small_iterations: float | None = None,
    large_iterations: float | None = None,
) -> None:
    """Appendix C: in how many iterations large-batch training must converge to be the faster one.

    Parameters
    ----------
    efficiency
        Share of the processors that small-batch training keeps busy, above 0 and at most 1.
    small_batch
        Examples.
    large_batch
        Examples; at this size all processors are taken to be busy.
    small_iterations
        Iterations that small-batch training takes to a test accuracy.
    large_iterations
        Iterations that large-batch training takes to the same.
    """
    from sharpmin.paper.performance import iterations_limit, speedup

    limit = iterations_limit(small_batch=small_batch, large_batch=large_batch, efficiency=efficiency)
    print(f"The large batch is faster if it takes less than {limit:.4g} times the iterations of the small batch.")
    if (small_iterations is None) != (large_iterations is None):
        raise UsageError("give --small-iterations and --large-iterations together, or neither")
    if small_iterations is not None and large_iterations is not None:
        times = speedup(
            small_batch=small_batch,
            large_batch=large_batch,
            efficiency=efficiency,
            small_iterations=small_iterations,
            large_iterations=large_iterations,
        )
        print(f"With {small_iterations:g} and {large_iterations:g} iterations it is {times:.4g} times as fast.")
