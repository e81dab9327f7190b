"""`sharpmin sharpness`: Metric 2.1 at the two minimizers of a run."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console


def sharpness(
    run: Path,
    *,
    epsilon: Annotated[list[float] | None, Parameter(consume_multiple=True)] = None,
    subspace: int | None = None,
    start: Literal["corner", "zero"] = "corner",
    seed: int = 0,
    compare: Annotated[bool, Parameter(negative="")] = False,
    data: str | None = None,
    evaluation_batch: int = 5000,
    device: str = "cpu",
    threads: int | None = None,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Measure how far the loss can rise in a small box around each minimizer of a run (Metric 2.1 of the paper).

    Prints the sharpness of the small-batch (SB) and the large-batch (LB) minimizer with its evidence, and adds the rows
    to sharpness.jsonl in the run folder.

    Parameters
    ----------
    run
        A run folder made by sharpmin plot.
    epsilon
        Half-widths of the box relative to |weight| + 1; the paper's 1e-3 and 5e-4 by default.
    subspace
        Dimension of a random subspace (the paper's Table 4: 100); the full space by default.
    start
        Where the search starts: "corner" of the box in the direction of the gradient's sign, or "zero".
    seed
        Of the random subspace.
    compare
        Put SB and LB side by side, with their ratio and the paper's row where there is one.
    data
        Where the run's data came from, if it was not the network's own set: as in sharpmin plot.
    evaluation_batch
        Examples that BatchNorm normalises together.
    device
        cpu, cuda, cuda:N or auto.
    threads
        Processor threads; by default all that this process may use.
    quiet
        No progress.
    """
    from sharpmin import runtime
    from sharpmin.cli.plot import load_data
    from sharpmin.console import progress
    from sharpmin.paper import minimizers
    from sharpmin.runs import Run

    settings = minimizers.settings_of(run)
    where = runtime.resolve_device(device)
    environment = runtime.tuned_environment(runtime.tune(threads=threads), device=where)
    rows = []
    with progress(quiet=quiet) as report:
        name = data or settings["data"]["name"]
        split = load_data(
            settings["network"], name, train_size=settings["train_size"], seed=settings["seed"], progress=report
        )
        points = minimizers.read_minimizers(run, split, batch_size=evaluation_batch, device=where)
        for regime, result in minimizers.measure_sharpness(
            points, epsilons=epsilon or (1e-3, 5e-4), subspace=subspace, start=start, seed=seed, progress=report
        ):
            rows.append((regime, result))
            kept = {key: value for key, value in asdict(result).items() if key != "displacement"}
            line = {"minimizer": regime, **kept, "environment": environment}
            Run(run).write_lines("sharpness.jsonl", [*Run(run).read_lines("sharpness.jsonl"), line])
    Console().print(side_by_side(points.network, rows) if compare else table(rows))


def table(rows: Sequence[tuple[str, Any]]) -> Any:
    """A row a measurement, with its evidence."""
    from rich.table import Table

    shown = Table(
        "", "epsilon", "space", "sharpness", "loss", "max loss", "first order", "it.", "ev.", "ended", "s", box=None
    )
    for regime, found in rows:
        space = f"{found.subspace} random" if found.subspace else "full"
        numbers = [f"{x:.4g}" for x in (found.value, found.loss, found.max_loss, found.first_order)]
        counts = [str(found.iterations), str(found.evaluations), found.status, f"{found.seconds:.0f}"]
        shown.add_row(regime, f"{found.epsilon:g}", space, *numbers, *counts)
    return shown


def side_by_side(network: str, rows: Sequence[tuple[str, Any]]) -> Any:
    """SB and LB of each epsilon beside the paper's."""
    from rich.table import Table

    from sharpmin.paper.published import sharpness_row

    shown = Table("epsilon", "SB", "LB", "LB / SB", "paper SB", "paper LB", box=None)
    found = {(result.epsilon, regime): result for regime, result in rows}
    for epsilon in dict.fromkeys(result.epsilon for _, result in rows):
        small, large = found[epsilon, "SB"], found[epsilon, "LB"]
        ratio = large.value / small.value if small.value else float("nan")
        row = sharpness_row(network, epsilon=epsilon, subspace=small.subspace)
        paper = [f"{row[r][0]:.2f} ± {row[r][1]:.2f}" if row else "-" for r in ("SB", "LB")]
        shown.add_row(f"{epsilon:g}", f"{small.value:.2f}", f"{large.value:.2f}", f"{ratio:.1f}", *paper)
    return shown
