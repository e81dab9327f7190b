"""Recipes: plain functions that return the runs of a sweep.

The built-in ones are the trials behind Tables 2, 3 and 4 of Keskar et al. 2017: five seeds, both batch sizes, trained
until the loss ceases to improve, then Metric 2.1 at both epsilons in the full space and in random subspaces.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product

from sharpmin.errors import UsageError
from sharpmin.paper.configurations import DATA_SETS
from sharpmin.paper.metric import metric_2_1
from sharpmin.paper.parametric import Job
from sharpmin.paper.recipes import SMALL_BATCH, large_batch, recipe
from sharpmin.paper.single import Single
from sharpmin.paper.tables import EPSILONS, SPACES
from sharpmin.sweep.trial import Measure, Trial
from sharpmin.tasks import call
from sharpmin.training import TrainConfig

SEEDS = range(5)
MOST_EPOCHS = 200


def trials(network: str) -> list[Trial]:
    """Five pairs of a network, from five seeds, until converged, and what Tables 2 to 4 say of them."""
    large = large_batch(DATA_SETS[recipe(network).data].train)

    def config(batch_size: int, seed: int) -> TrainConfig:
        return TrainConfig(batch_size=batch_size, epochs=MOST_EPOCHS, seed=seed, until_converged=True)

    return [
        Trial(Job(network, seed, config(SMALL_BATCH, seed), config(large, seed), points=4), measures=both_epsilons())
        for seed in SEEDS
    ]


def both_epsilons() -> tuple[Measure, ...]:
    """Sharpness at both of the paper's epsilons, in the full space and in a random subspace of 100."""
    return tuple(
        metric_2_1(epsilon=epsilon, subspace=subspace) for subspace, epsilon in product(SPACES.values(), EPSILONS)
    )


BUILT_IN: dict[str, Callable[[], list[Trial]]] = {
    f"{network.lower()}-trials": partial(trials, network) for network in ("F1", "C1", "C2", "C3", "C4")
}


def load_recipe(name: str) -> list[Trial]:
    """The runs of a recipe: a built-in one, or somebody's `package.module:function` or `file.py:function`.

    Args:
        name: where it has a colon, resolved as `sharpmin.tasks` resolves a task.

    Raises:
        UsageError: there is no such recipe, or it returned something else.
        TaskError: the user's own code raised.

    Example:
        >>> [run.job.seed for run in load_recipe("f1-trials")]
        [0, 1, 2, 3, 4]

    """
    if name in BUILT_IN:
        return BUILT_IN[name]()
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
            "Trial, Job or  at least one (see docs/sweep.md)"
        )
    return [run if isinstance(run, Trial) else Trial(run) for run in found]
