"""`sharpmin plot` and `sharpmin redraw`: the original script's job, and its figure once more."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from sharpmin.errors import UsageError

TRAINING = Group("Training", sort_key=1)
DRAWING = Group("Evaluation and figure", sort_key=2)
PLACE = Group("Where and how", sort_key=3)


def plot(
    *,
    network: Annotated[str, Parameter(name=["--network", "-n"])],
    epochs: Annotated[int | None, Parameter(group=TRAINING)] = None,
    large_batch_epochs: Annotated[int | None, Parameter(group=TRAINING)] = None,
    small_batch: Annotated[int, Parameter(group=TRAINING)] = 256,
    large_batch: Annotated[int | None, Parameter(group=TRAINING)] = None,
    until_converged: Annotated[bool, Parameter(group=TRAINING, negative="")] = False,
    patience: Annotated[int, Parameter(group=TRAINING)] = 10,
    learning_rate: Annotated[float, Parameter(group=TRAINING)] = 1e-3,
    seed: Annotated[int, Parameter(group=TRAINING)] = 0,
    precision: Annotated[Literal["float32", "bfloat16"], Parameter(group=TRAINING)] = "float32",
    data: Annotated[str | None, Parameter(group=TRAINING)] = None,
    train_size: Annotated[int | None, Parameter(group=TRAINING)] = None,
    path: Annotated[Literal["line", "arc"], Parameter(group=DRAWING)] = "line",
    points: Annotated[int, Parameter(group=DRAWING)] = 25,
    evaluation_batch: Annotated[int, Parameter(group=DRAWING)] = 5000,
    published: Annotated[bool, Parameter(group=DRAWING, negative="")] = False,
    out: Annotated[Path, Parameter(group=PLACE)] = Path(),
    device: Annotated[str, Parameter(group=PLACE)] = "cpu",
    threads: Annotated[int | None, Parameter(group=PLACE)] = None,
    quiet: Annotated[bool, Parameter(group=PLACE, negative="")] = False,
) -> None:
    """Train small-batch and large-batch, and plot the loss on the way from one minimizer to the other.

    Trains the network twice with Adam from one starting point, evaluates cross-entropy and accuracy on the
    training and the test set along the path between the two minimizers, and saves Figures/NETWORK.pdf, .png and
    .json. Training is kept in a run folder: a killed run goes on where it was, a finished one is only drawn.

    Parameters
    ----------
    network
        F1, F2, C1, C2, C3 or C4.
    epochs
        Passes over the training set, 20 by default; with --until-converged the most it may take (200).
    large_batch_epochs
        Passes of the large-batch training where they should differ.
    small_batch
        Small batch size.
    large_batch
        Large batch size; 10% of the training set by default.
    until_converged
        Stop each training when its loss ceases to improve: when the lowest training loss came down by less than
        1%, or by less than 0.0001, in the last --patience epochs.
    patience
        Epochs without an improvement before --until-converged stops.
    learning_rate
        Of Adam.
    seed
        Of the starting point, the shuffles, dropout and the subset.
    precision
        Arithmetic of training; the evaluation is always in float32.
    data
        A data set by name instead of the network's own, "synthetic" for made-up data of the network's shape,
        a folder that holds the files, or for F2 your .npz of speech frames.
    train_size
        Use a fixed, seeded, class-balanced subset of so many training examples.
    path
        The straight line of the paper's Figure 3 or the arc of its Figure 7.
    points
        Number of alphas from -1 to 2.
    evaluation_batch
        Examples that BatchNorm normalises together in evaluation.
    published
        Overlay the authors' curve (C1 to C4).
    out
        Folder for Figures/ and runs/.
    device
        cpu, cuda, cuda:N or auto.
    threads
        Processor threads; by default all that this process may use.
    quiet
        No progress.
    """
    from sharpmin import runtime  # after the arguments are known to be good: torch takes seconds to import
    from sharpmin.console import progress
    from sharpmin.paper import parametric
    from sharpmin.paper.published import figure_3

    job, name = plan(locals())
    tuned = runtime.tune(threads=threads)
    where = runtime.resolve_device(device)
    authors = figure_3(network) if published else None
    with progress(quiet=quiet) as report:
        split = load_data(network, name, train_size=train_size, seed=seed, progress=report)
        job = with_large_batch(job, large_batch, examples=len(split.train))
        environment = runtime.tuned_environment(tuned, device=where)
        numbers, run = parametric.compute(
            job, split, runs=out / "runs", environment=environment, device=where, progress=report
        )
    draw(numbers, out / "Figures", published=authors)
    print(parametric.summary(numbers))
    print(f"Run folder: {run.folder}")


def plan(given: dict[str, Any]) -> tuple[Any, str]:
    """The job asked for, with the large batch still open, and the name of its data."""
    from sharpmin.paper.parametric import Job
    from sharpmin.paper.recipes import recipe
    from sharpmin.training import TrainConfig

    chosen = recipe(given["network"])
    epochs = given["epochs"] if given["epochs"] is not None else 200 if given["until_converged"] else chosen.epochs
    large_epochs = epochs if given["large_batch_epochs"] is None else given["large_batch_epochs"]
    config = TrainConfig(
        batch_size=given["small_batch"],
        epochs=epochs,
        learning_rate=given["learning_rate"],
        seed=given["seed"],
        precision=given["precision"],
        until_converged=given["until_converged"],
        patience=given["patience"],
    )
    job = Job(
        network=given["network"],
        seed=given["seed"],
        small_batch=config,
        large_batch=replace(config, epochs=large_epochs),
        train_size=given["train_size"],
        path=given["path"],
        points=given["points"],
        evaluation_batch=given["evaluation_batch"],
    )
    return job, given["data"] or chosen.data


def with_large_batch(job: Any, batch_size: int | None, *, examples: int) -> Any:
    """The job with its large batch: the one given, or 10% of the training set."""
    from sharpmin.paper.recipes import large_batch
    from sharpmin.training import check

    size = large_batch(examples) if batch_size is None else batch_size
    job = replace(job, large_batch=replace(job.large_batch, batch_size=size))
    for config in (job.small_batch, job.large_batch):
        check(config, examples=examples)
    return job


def load_data(network: str, name: str, *, train_size: int | None, seed: int, progress: Any) -> Any:
    """The data set for a network, cut to `train_size` where asked."""
    from sharpmin import data, zoo
    from sharpmin.paper.recipes import recipe

    if name == "synthetic":
        like = zoo.default_interface(network)
        split = data.synthetic(shape=like.shape, classes=like.classes)
    elif name == "speech":
        raise UsageError(f"{network} learns speech frames of your own: give --data FILE.npz (see docs/data.md)")
    elif name in data.NAMES:
        split = data.load(name, progress=progress)
    else:
        split = data.load(recipe(network).data, path=name, progress=progress)
    if train_size is None:
        return split
    return replace(split, train=data.subset(split.train, train_size, seed=seed, classes=split.classes))


def draw(numbers: Any, folder: Path, *, published: Any) -> None:
    """Save the figure and its numbers."""
    from sharpmin import plots
    from sharpmin.paper import parametric

    stem = numbers.job.network + ("-arc" if numbers.job.path == "arc" else "")
    parametric.save(numbers, folder / f"{stem}.json")
    figure = plots.parametric(numbers, published=published)
    plots.save(figure, folder / f"{stem}.pdf", folder / f"{stem}.png")
    print(f"Plot saved as {folder / stem}.pdf, .png and .json")


def redraw(
    numbers: Path,
    *,
    published: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Draw a parametric plot again from its JSON, beside it; nothing is computed.

    Parameters
    ----------
    numbers
        The .json that `sharpmin plot` wrote.
    published
        Overlay the authors' curve (C1 to C4).
    """
    from sharpmin import plots
    from sharpmin.paper import parametric
    from sharpmin.paper.published import figure_3

    loaded = parametric.load(numbers)
    figure = plots.parametric(loaded, published=figure_3(loaded.job.network) if published else None)
    plots.save(figure, numbers.with_suffix(".pdf"), numbers.with_suffix(".png"))
    print(f"Plot saved as {numbers.with_suffix('')}.pdf and .png")
