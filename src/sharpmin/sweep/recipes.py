"""Recipes: plain functions that return the runs of a sweep.

The built-in ones are the trials behind Tables 2, 3 and 4 of Keskar et al. 2017: five seeds, both batch sizes, trained
until the loss ceases to improve, then Metric 2.1 at both epsilons in the full space and in random subspaces; and those
behind Figures 4 and 6, whose verbs of `sharpmin paper` then find every run done.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

from sharpmin.errors import UsageError
from sharpmin.paper import batch_sizes, sharpness_along
from sharpmin.paper.budget import Budget, Extent
from sharpmin.paper.configurations import DATA_SETS
from sharpmin.paper.inputs import whole
from sharpmin.paper.jobs import Job, Single
from sharpmin.paper.metric import EPSILONS, metric_2_1
from sharpmin.paper.recipes import RECIPES, large_batch, recipe, small_batch
from sharpmin.paper.tables import SPACES
from sharpmin.sweep.trial import Measure, Trial
from sharpmin.tasks import call
from sharpmin.train_config import TrainConfig

TRIALS = 5
MOST_EPOCHS = 200
FULL = Budget()


def trials(network: str, extent: Extent, *, config: TrainConfig | None = None, data: str | None = None) -> list[Trial]:
    """Pairs of a network until converged, a seed each, and what Tables 2 to 4 say of them.

    Args:
        network: of the paper.
        extent: images, epochs at most, and seeds.
        config: how each is trained, but for batch size, epochs, seed and when it ends.
        data: a data set's name, "synthetic" or a place on disk; the network's own by default.

    """
    made = replace(config or TrainConfig(), epochs=extent.epochs, until_converged=True)
    small = replace(made, batch_size=small_batch(extent.images))
    large = replace(made, batch_size=large_batch(extent.images))
    return [
        Trial(
            Job(
                network,
                seed,
                replace(small, seed=seed),
                replace(large, seed=seed),
                extent.train_size,
                points=4,
                test_size=extent.test_size,
            ),
            data=data,
            measures=both_epsilons(),
        )
        for seed in extent.seeds
    ]


def examples(network: str, data: str | None) -> dict[str, int]:
    """How many there are to train and to test on; of the user's own data they are counted."""
    own = recipe(network).data
    if data or own == "speech":
        split = whole(network, data or own)
        return {"images": len(split.train), "test": len(split.test)}
    return {"images": DATA_SETS[own].train, "test": DATA_SETS[own].test}


def both_epsilons() -> tuple[Measure, ...]:
    """Sharpness at both of the paper's epsilons, in the full space and in a random subspace of 100."""
    return tuple(
        metric_2_1(epsilon=epsilon, subspace=subspace) for subspace, epsilon in product(SPACES.values(), EPSILONS)
    )


def along(network: str, extent: Extent, *, data: str | None = None) -> list[Trial]:
    """What `sharpmin paper sharpness-along` carries out."""
    small, large, epochs = small_batch(extent.images), large_batch(extent.images), range(1, extent.epochs + 1)
    return sharpness_along.trials(network, extent, small_batch=small, large_batch=large, epochs=epochs, data=data)


EPOCHS = {"trials": MOST_EPOCHS, "batch-sizes": batch_sizes.EPOCHS}  # else the network's own
MAKES: dict[str, Callable[..., list[Trial]]] = {
    "trials": trials,
    "batch-sizes": batch_sizes.trials,
    "sharpness-along": along,
}
BUILT_IN = {f"{network.lower()}-{what}": (network, what) for what in MAKES for network in RECIPES}


def load_recipe(name: str, *, data: str | None = None, budget: Budget = FULL) -> list[Trial]:
    """The runs of a recipe: a built-in one, or somebody's `package.module:function` or `file.py:function`.

    Args:
        name: where it has a colon, resolved as `sharpmin.tasks` resolves a task.
        data: what a built-in recipe trains on in place of the network's own data.
        budget: how much of a built-in recipe is carried out.

    Raises:
        UsageError: there is no such recipe, or it returned something else.
        TaskError: the user's own code raised.

    Example:
        >>> [run.job.seed for run in load_recipe("f1-trials")]
        [0, 1, 2, 3, 4]

    """
    if name in BUILT_IN:
        network, what = BUILT_IN[name]
        epochs = EPOCHS.get(what, recipe(network).epochs)
        extent = budget.extent(**examples(network, data), epochs=epochs, trials=TRIALS)
        return MAKES[what](network, extent, data=data)
    if data is not None or budget != FULL:
        raise UsageError("--data and --budget are for the built-in recipes: a recipe of yours says both itself")
    if ":" not in name:
        raise UsageError(
            f"there is no recipe {name!r}: choose one of {', '.join(BUILT_IN)}, or name your own, "
            "package.module:function or file.py:function"
        )
    made = call(name, wanted="recipe", gives="a list of runs")
    found = list(made) if isinstance(made, Sequence) else []
    wrong = next((type(run).__name__ for run in found if not isinstance(run, Trial | Job | Single)), None)
    if not found or wrong:
        raise UsageError(
            f"{name} returned {f'a {wrong} in its list' if wrong else type(made).__name__}: let it return a list of "
            "Trial, Job or Single, at least one (see docs/sweep.md)"
        )
    return [run if isinstance(run, Trial) else Trial(run) for run in found]
