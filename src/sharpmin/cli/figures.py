"""`sharpmin paper batch-sizes | warm-start | sharpness-along`: Figures 4, 5 and 6, each from many trainings.

Figures/NETWORK-VERB.pdf, .png and .json; the runs lie in runs/. An interrupted one goes on with the same command.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from sharpmin.cli.reproducing import RECIPE, Reproduction, carried_out, command, extent
from sharpmin.cli.saving import save
from sharpmin.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sharpmin.paper.budget import Extent
    from sharpmin.paper.figures import Numbers

OWN = Group("Of this figure", sort_key=0)


def batch_sizes(
    *,
    options: Reproduction,
    sizes: Annotated[list[int] | None, Parameter(group=OWN, consume_multiple=1, negative="")] = None,
    epsilon: Annotated[list[float] | None, Parameter(group=RECIPE, consume_multiple=1, negative="")] = None,
) -> None:
    """Figure 4: test accuracy and sharpness against the batch size.

    Trains each batch size from the same starting points, 100 epochs by default, measures Metric 2.1 at each solution
    by each epsilon, and saves Figures/NETWORK-batch-sizes.pdf, .png and .json. Interrupted, the same command goes on.

    Parameters
    ----------
    options
        See `sharpmin.cli.reproducing`.
    sizes
        Batch sizes; by default from 64 on each twice the one before, and the whole training set.
    epsilon
        Half-widths of Metric 2.1's box, one or several; by default the paper's, 0.001 and 0.0005.
    """
    from sharpmin.paper import batch_sizes
    from sharpmin.paper.finished import provenance
    from sharpmin.paper.metric import EPSILONS

    epsilons = list(dict.fromkeys(epsilon or EPSILONS))
    left = extent(options, epochs=batch_sizes.EPOCHS)
    trials = batch_sizes.trials(options.network, left, sizes=sizes, **how(options), epsilons=epsilons)
    planned = carried_out(trials, options)
    asked = command("batch-sizes", options, sizes=sizes, epsilon=epsilons)
    made = provenance(planned, left, network=options.network, epsilons=epsilons, command=asked)
    finish(batch_sizes.gather(planned, made), options.out)


def warm_start(
    *,
    options: Reproduction,
    every: Annotated[int, Parameter(group=OWN)] = 1,
    small_batch: Annotated[int | None, Parameter(group=OWN)] = None,
    large_batch: Annotated[int | None, Parameter(group=OWN)] = None,
    epsilon: Annotated[float, Parameter(group=RECIPE)] = 1e-3,
) -> None:
    """Figure 5: large-batch training started from the iterates of small-batch training.

    Trains with small batches, 100 epochs by default, and from its iterates with large batches for as many again, Adam's
    moments fresh; measures Metric 2.1 at each large-batch solution and saves Figures/NETWORK-warm-start.pdf, .png and
    .json. Interrupted, the same command goes on with what is missing.

    Parameters
    ----------
    options
        See `sharpmin.cli.reproducing`.
    every
        Epochs from one iterate to the next.
    small_batch
        256 by default; of less than 25,600 training examples 1%.
    large_batch
        10% of the training set by default.
    epsilon
        Half-width of Metric 2.1's box; the paper has 0.001 and 0.0005.
    """
    from sharpmin.paper import warm_start
    from sharpmin.paper.finished import provenance

    check_every(every)
    left = extent(options, epochs=warm_start.EPOCHS)
    small, large = two_batches(left, small_batch, large_batch)
    runs = warm_start.small_trials(options.network, left, batch_size=small, every=every, **how(options))
    begun = carried_out(runs, options)
    planned = carried_out(warm_start.large_trials(runs, batch_size=large, epsilon=epsilon), options)
    own = {"every": every, "small_batch": small_batch, "large_batch": large_batch, "epsilon": epsilon}
    asked = command("warm-start", options, **own)
    made = provenance([*begun, *planned], left, network=options.network, epsilons=[epsilon], command=asked)
    finish(warm_start.gather(begun, planned, made), options.out)


def sharpness_along(
    *,
    options: Reproduction,
    first: Annotated[int, Parameter(group=OWN)] = 1,
    every: Annotated[int, Parameter(group=OWN)] = 1,
    small_batch: Annotated[int | None, Parameter(group=OWN)] = None,
    large_batch: Annotated[int | None, Parameter(group=OWN)] = None,
    epsilon: Annotated[float, Parameter(group=RECIPE)] = 1e-3,
) -> None:
    """Figure 6: sharpness against cross-entropy along small-batch and large-batch training.

    Trains with both from the same starting points, 20 epochs by default, measures Metric 2.1 at the iterates of chosen
    epochs, and saves Figures/NETWORK-sharpness-along.pdf, .png and .json. Interrupted, the same command goes on.

    Parameters
    ----------
    options
        See `sharpmin.cli.reproducing`.
    first
        The first epoch after which it is measured; 0 for the starting point.
    every
        Epochs from one to the next; the last one is always among them.
    small_batch
        256 by default; of less than 25,600 training examples 1%.
    large_batch
        10% of the training set by default.
    epsilon
        Half-width of Metric 2.1's box; the paper has 0.001 and 0.0005.
    """
    from sharpmin.paper import sharpness_along
    from sharpmin.paper.finished import provenance
    from sharpmin.paper.recipes import recipe

    check_every(every)
    left = extent(options, epochs=recipe(options.network).epochs)
    if not 0 <= first <= left.epochs:
        raise UsageError(f"--first {first}: choose an epoch from 0 to {left.epochs}")
    small, large = two_batches(left, small_batch, large_batch)
    epochs = sorted({*range(first, left.epochs + 1, every), left.epochs})
    trials = sharpness_along.trials(
        options.network,
        left,
        small_batch=small,
        large_batch=large,
        epochs=epochs,
        epsilon=epsilon,
        **how(options),
    )
    planned = carried_out(trials, options)
    batches = {"small_batch": small_batch, "large_batch": large_batch}
    own = {"first": first, "every": every, **batches, "epsilon": epsilon}
    asked = command("sharpness-along", options, **own)
    made = provenance(planned, left, network=options.network, epsilons=[epsilon], command=asked)
    finish(sharpness_along.gather(planned, made), options.out)


def how(options: Reproduction) -> dict[str, Any]:
    """What all trainings of a figure share, as the recipes take it."""
    from sharpmin.train_config import TrainConfig

    return {"config": TrainConfig(precision=options.precision), "data": options.data}


def two_batches(left: "Extent", small: int | None, large: int | None) -> tuple[int, int]:
    """The two batch sizes: those given, or the paper's."""
    from sharpmin.paper.recipes import large_batch, small_batch

    small = small_batch(left.images) if small is None else small
    large = large_batch(left.images) if large is None else large
    if not 1 <= small < large <= left.images:
        raise UsageError(
            f"a small batch of {small} and a large one of {large} of {left.images} training examples: "
            "give --small-batch and --large-batch in between"
        )
    return small, large


def check_every(every: int) -> None:
    """Refuse a step that leads nowhere."""
    if every < 1:
        raise UsageError(f"--every {every}: give at least 1")


def finish(numbers: "Numbers", out: Path) -> None:
    """Save the figure and its numbers, and say what it was scaled down by."""
    from sharpmin.paper import figures

    stem = out / "Figures" / f"{numbers.provenance.network}-{figures.name_of(numbers)}"
    save(stem, lambda: drawn(numbers), figures.as_json(numbers))
    if numbers.provenance.scaled:
        print(numbers.provenance.scaled)


def drawn(numbers: Any) -> "Figure":
    """The figure of these numbers."""
    from sharpmin import plots
    from sharpmin.paper import figures

    draw: dict[str, Any] = {
        "batch-sizes": plots.batch_sizes,
        "warm-start": plots.warm_start,
        "sharpness-along": plots.sharpness_along,
    }
    return draw[figures.name_of(numbers)](numbers)
