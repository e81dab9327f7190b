"""One reading of the data for several networks.

To fetch a batch (decode it, shuffle it, copy it to the device) can cost as much as to evaluate it. So each is read
once and shown to every network in turn. A network meets what it would meet alone: a batch that nobody has written to,
and the same random numbers.
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from sharpmin.randomness import RandomStream


class Turn(NamedTuple):
    """Which batch is shown to which network, both counted from 0, and what it draws its random numbers from."""

    number: int
    network: int
    batch: Any
    random: RandomStream


def turns(
    batches: Iterable[Any], networks: int, random: RandomStream, *, copied: Callable[[Any], Any]
) -> Iterator[Turn]:
    """Show every batch to each of so many networks.

    All but the last get a copy of the batch and of the random stream. The last one moves the stream on to the next
    batch, as a network alone does; so they agree with one that is alone unless the weights decide how many random
    numbers are drawn.

    Example:
        >>> stream = RandomStream(torch.device("cpu"))
        >>> [(turn.batch, turn.network) for turn in turns("ab", 2, stream, copied=str)]
        [('a', 0), ('a', 1), ('b', 0), ('b', 1)]

    """
    for number, batch in enumerate(random.through(batches)):
        for network in range(networks - 1):
            yield Turn(number, network, copied(batch), copy.copy(random))
        yield Turn(number, networks - 1, batch, random)
