"""One reading of the data for several networks.

To fetch a batch (decode it, shuffle it, copy it to the device) can cost as much as to evaluate it. So each is read
once and shown to every network in turn. A network meets what it would meet alone: a batch that nobody has written to,
and the same random numbers.
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any, NamedTuple

import torch

from sharpmin.randomness import RandomStream


class Turn(NamedTuple):
    """Which batch is shown to which network, both counted from 0, and what it draws its random numbers from."""

    number: int
    network: int
    batch: Any
    random: RandomStream


def drawing(
    batches: Iterable[Any], device: torch.device, *, turns: slice = slice(None), seed: int = 0
) -> Iterator[tuple[RandomStream, Any]]:
    """Read the batches, each with the stream that its loss draws from, by the batch's number in the whole.

    Args:
        batches: of one process; a loader that shuffles draws its order from a stream of its own.
        device: where they are.
        turns: which of the whole they are.
        seed: of the order, and of the first batch's stream; the next one's is one more.

    Example:
        >>> [batch for _, batch in drawing("ab", torch.device("cpu"))]
        ['a', 'b']

    """
    numbers = count(turns.start or 0, turns.step or 1)
    for batch, number in zip(RandomStream(device, seed=seed).through(batches), numbers, strict=False):
        yield RandomStream(device, seed=seed + number), batch


def turns(
    batches: Iterable[Any],
    networks: int,
    device: torch.device,
    *,
    copied: Callable[[Any], Any],
    which: slice = slice(None),
) -> Iterator[Turn]:
    """Show every batch to each of so many networks; all but the last get a copy of it.

    Example:
        >>> [(turn.batch, turn.network) for turn in turns("ab", 2, torch.device("cpu"), copied=str)]
        [('a', 0), ('a', 1), ('b', 0), ('b', 1)]

    """
    for number, (random, batch) in enumerate(drawing(batches, device, turns=which)):
        for network in range(networks - 1):
            yield Turn(number, network, copied(batch), copy.copy(random))
        yield Turn(number, networks - 1, batch, random)
