"""Is f a function? A probe for randomness that evaluation mode does not switch off.

Every pass over the data draws from one fixed seed, so a loss that uses PyTorch's random numbers is at least the
same loss each time; but what is measured then is one draw of it. Randomness from elsewhere makes f no function
of theta at all.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch

from sharpmin.errors import UsageError
from sharpmin.measurement import check_examples
from sharpmin.objective import Objective
from sharpmin.randomness import RandomStream

TOLERANCE = 1e-5  # relative; some GPU kernels add in varying order


def what_is_random(objective: Objective) -> str | None:
    """Say what is random in f, in a sentence; None where nothing was seen.

    Looks at the first batch only, at the present weights.

    Raises:
        UsageError: the data gave no batch, or are an iterator, which can be read only once.

    Example:
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=8, test=8, shape=(4,), classes=3)
        >>> noisy = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.RReLU())
        >>> what_is_random(Objective(noisy, toy.train)) is None  # RReLU is deterministic in evaluation mode
        True

    """
    if isinstance(objective.data, Iterator):
        raise UsageError(
            f"the data, a {type(objective.data).__name__}, can be read only once, and every value of f reads them: "
            "give a DataLoader, a list of batches, or an object whose __iter__ begins anew"
        )
    once, again = (first_batch(objective) for _ in range(2))
    first, same, other = (loss_of(objective, batch, seed) for batch, seed in ((once, 0), (once, 0), (once, 1)))
    if differ(first, same):
        return (
            f"two evaluations of one batch at the same weights gave {first:.6g} and {same:.6g}: the loss draws random "
            "numbers outside PyTorch (NumPy's, Python's), so it is no function of the weights; seed them in the loss"
        )
    if differ(first, other):
        return (
            f"the loss is random even in evaluation mode (one batch, two seeds: {first:.6g} and {other:.6g}); is "
            "there a dropout that ignores model.eval()? One fixed draw of it is measured"
        )
    if differ(first, loss_of(objective, again, 0)):
        return (
            "two passes over the data began with different batches: the data set draws random numbers outside "
            "PyTorch (a shuffle, an augmentation); switch that off, or f changes while it is measured"
        )
    return None


def first_batch(objective: Objective) -> Any:
    """The first batch of a pass."""
    found = list(islice(RandomStream(objective.device).through(objective.batches()), 1))
    check_examples(len(found))
    return found[0]


@torch.no_grad()
def loss_of(objective: Objective, batch: Any, seed: int) -> float:
    """The summed loss of a batch at the present weights."""
    network = objective.at(objective.pieces(objective.theta))
    with RandomStream(objective.device, seed=seed):
        return objective.score(network, batch).total.item()


def differ(one: float, other: float) -> bool:
    """Whether two losses differ by more than rounding; NaN equals NaN."""
    if one != one and other != other:
        return False
    return one != other and not abs(one - other) <= TOLERANCE * max(abs(one), abs(other))
