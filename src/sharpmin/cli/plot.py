"""`sharpmin plot` and `sharpmin redraw`: the original script's job, and its figure once more."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from sharpmin.cli.figures import drawn
from sharpmin.cli.measuring import check_batch
from sharpmin.cli.saving import save
from sharpmin.cli.together import settle
from sharpmin.cli.training import TRAINING, Options, config, load

DRAWING = Group("Evaluation and figure", sort_key=2)


def plot(
    *,
    options: Options,
    large_batch_epochs: Annotated[int | None, Parameter(group=TRAINING)] = None,
    small_batch: Annotated[int, Parameter(group=TRAINING)] = 256,
    large_batch: Annotated[int | None, Parameter(group=TRAINING)] = None,
    path: Annotated[Literal["line", "arc"], Parameter(group=DRAWING)] = "line",
    points: Annotated[int, Parameter(group=DRAWING)] = 25,
    evaluation_batch: Annotated[int, Parameter(group=DRAWING)] = 5000,
    published: Annotated[bool, Parameter(group=DRAWING, negative="")] = False,
) -> None:
    """Train small-batch and large-batch, and plot the loss on the way from one minimizer to the other.

    Trains the network twice with Adam from one starting point, evaluates cross-entropy and accuracy on the
    training and the test set along the path between the two minimizers, and saves Figures/NETWORK.pdf, .png and
    .json. Training is kept in a run folder: a killed run goes on where it was, a finished one is only drawn.

    Parameters
    ----------
    options
        See `sharpmin.cli.training`.
    large_batch_epochs
        Passes of the large-batch training where they should differ.
    small_batch
        Small batch size.
    large_batch
        Large batch size; 10% of the training set by default. It must be larger than the small one.
    path
        The straight line of the paper's Figure 3 or the arc of its Figure 7.
    points
        Number of alphas from -1 to 2; 4, 7, 10 and so on, for 0 and 1 to be among them.
    evaluation_batch
        Examples that BatchNorm normalises together in evaluation.
    published
        Overlay the authors' curve (C1 to C4).
    """
    from sharpmin.console import progress
    from sharpmin.paper import parametric, parametric_plot
    from sharpmin.paper.jobs import Job, check_points
    from sharpmin.paper.published import difference, figure_3

    check_batch(evaluation_batch)
    small = config(options, batch_size=small_batch)
    job = Job(
        network=options.network,
        seed=options.seed,
        small_batch=small,
        large_batch=small if large_batch_epochs is None else replace(small, epochs=large_batch_epochs),
        train_size=options.train_size,
        path=path,
        points=points,
        evaluation_batch=evaluation_batch,
    )
    check_points(points)
    place = settle(threads=options.threads, device=options.device)
    authors = figure_3(options.network) if published else None
    with progress(quiet=options.quiet or place.group.rank > 0) as report:
        with place.group.one_after_rank_0():
            split = load(options, progress=report)
        job = with_large_batch(job, large_batch, examples=len(split.train))
        numbers, run = parametric.compute(
            job,
            split,
            runs=options.out / "runs",
            environment=place.environment,
            device=place.device,
            progress=report,
            group=place.group,
        )
    draw(numbers, options.out / "Figures", published=authors)
    if authors is not None and path == "line":
        curve = numbers.curve("train")
        apart = difference(authors, curve.alphas, curve.accuracies)
        print(f"train accuracy between the minimizers: {apart:.2f} points from the authors' (root mean square)")
    print(parametric_plot.summary(numbers))
    print(f"Run folder: {run.folder}")


def with_large_batch(job: Any, batch_size: int | None, *, examples: int) -> Any:
    """The job with its large batch: the one given, or 10% of the training set."""
    from sharpmin.paper.jobs import check_batches
    from sharpmin.paper.recipes import large_batch
    from sharpmin.train_config import check

    size = large_batch(examples) if batch_size is None else batch_size
    job = replace(job, large_batch=replace(job.large_batch, batch_size=size))
    for made in (job.small_batch, job.large_batch):
        check(made, examples=examples)
    check_batches(job, give=f"--small-batch and --large-batch, 1 <= small < large <= {examples}")
    return job


def draw(numbers: Any, folder: Path, *, published: Any) -> None:
    """Save the figure and its numbers."""
    from sharpmin import plots

    stem = folder / (numbers.job.network + ("-arc" if numbers.job.path == "arc" else ""))
    save(stem, lambda: plots.parametric(numbers, published=published), asdict(numbers))


def redraw(
    numbers: Path,
    *,
    published: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Draw a figure of the paper again from its JSON, beside it; nothing is computed.

    Parameters
    ----------
    numbers
        The .json that `sharpmin plot` or `sharpmin paper` wrote.
    published
        Overlay the authors' curve (C1 to C4, of a parametric plot).
    """
    from sharpmin import plots
    from sharpmin.paper import figures, parametric_plot
    from sharpmin.paper.published import figure_3

    if figures.is_ours(numbers) and not published:
        figure = drawn(figures.load(numbers))
    else:
        loaded = parametric_plot.load(numbers)
        figure = plots.parametric(loaded, published=figure_3(loaded.job.network) if published else None)
    save(numbers.with_suffix(""), lambda: figure)
