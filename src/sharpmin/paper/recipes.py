"""What the paper trains: for each network its data set and the two batch sizes.

Table 1 and section 2.2: Adam, small batches of 256, large ones of 10% of the training set.
"""

from dataclasses import dataclass

from sharpmin.errors import UsageError

SMALL_BATCH = 256


@dataclass(frozen=True)
class Recipe:
    """A network of the paper with its data set.

    Attributes:
        network: its name in `sharpmin.zoo`.
        data: its data set's name in `sharpmin.data`.
        epochs: passes of either training, the authors' script's 20 by default.

    """

    network: str
    data: str
    epochs: int = 20


RECIPES = {
    recipe.network: recipe
    for recipe in (
        Recipe("F1", "mnist"),
        Recipe("F2", "speech"),
        Recipe("C1", "cifar10"),
        Recipe("C2", "cifar10"),
        Recipe("C3", "cifar100"),
        Recipe("C4", "cifar100"),
    )
}


def recipe(network: str) -> Recipe:
    """The recipe of a network of the paper.

    Raises:
        UsageError: the paper has no such network.

    """
    if network not in RECIPES:
        raise UsageError(f"unknown network {network!r}: choose one of {', '.join(RECIPES)}")
    return RECIPES[network]


def large_batch(examples: int) -> int:
    """10% of the training set, as the paper's large batch.

    Example:
        >>> large_batch(50_000)
        5000

    """
    return max(1, examples // 10)


def small_batch(examples: int) -> int:
    """The paper's 256; of a training set cut down to less than 25,600 examples 1%, to stay a tenth of the large batch.

    Example:
        >>> small_batch(50_000), small_batch(5000)
        (256, 50)

    """
    return min(SMALL_BATCH, max(2, examples // 100))
