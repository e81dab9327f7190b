"""What the paper trains and on what: Table 1, and the data sets of its appendix A.

The networks are measured as they are built here; the data sets' sizes are those the paper states.
"""

from dataclasses import dataclass
from functools import cache

from sharpmin.paper.recipes import RECIPES, SMALL_BATCH, large_batch
from sharpmin.zoo import build


@dataclass(frozen=True)
class DataSet:
    """A data set of the paper: examples to train and test on, features of one, and classes."""

    name: str
    train: int
    test: int
    features: str
    classes: int


DATA_SETS = {
    "mnist": DataSet("MNIST", 60_000, 10_000, "28 x 28", 10),
    "speech": DataSet("TIMIT", 721_329, 310_621, "360", 1973),
    "cifar10": DataSet("CIFAR-10", 50_000, 10_000, "32 x 32 x 3", 10),
    "cifar100": DataSet("CIFAR-100", 50_000, 10_000, "32 x 32 x 3", 100),
}
ARCHITECTURES = {
    "F1": "fully connected, 5 x 512",
    "F2": "fully connected, 7 x 512",
    "C1": "shallow convolutional",
    "C2": "deep convolutional",
    "C3": "shallow convolutional",
    "C4": "deep convolutional",
}


@dataclass(frozen=True)
class Configuration:
    """A row of Table 1.

    Attributes:
        network: its name.
        architecture: in words.
        data: the data set's name.
        weights: how many are trained.
        small_batch: examples.
        large_batch: a tenth of the training set.

    """

    network: str
    architecture: str
    data: str
    weights: int
    small_batch: int
    large_batch: int


@cache
def configurations() -> tuple[Configuration, ...]:
    """Table 1, with the number of weights counted and the two batch sizes.

    Example:
        >>> [(row.network, row.weights) for row in configurations() if row.data == "CIFAR-10"]
        [('C1', 1757834), ('C2', 14991946)]

    Source: Keskar et al. 2017, Table 1 and section 2.2.

    """
    rows = []
    for name, recipe in RECIPES.items():
        data = DATA_SETS[recipe.data]
        weights = sum(p.numel() for p in build(name, seed=0).parameters() if p.requires_grad)
        rows.append(Configuration(name, ARCHITECTURES[name], data.name, weights, SMALL_BATCH, large_batch(data.train)))
    return tuple(rows)
