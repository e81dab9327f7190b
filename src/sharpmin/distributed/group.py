"""The processes of a job, as what a computation needs of them: shares of the work, and sums over all shares.

A group is handed to what can be shared out (`Objective`, `train`), as an argument: nothing looks for one by itself.
`ALONE`, the default, is the group of one process: it has the whole work, sums are what they were, nothing is sent.

All processes of a group do the same in the same order. What they are told is bit for bit alike (all-reduce and
all-gather give everybody the same), so they take the same decisions.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from sharpmin.errors import RunError

T = TypeVar("T")
Row = TypeVar("Row", bound=tuple[Any, ...])


@dataclass(frozen=True)
class Group:
    """The processes of a job, seen from one of them; they talk through PyTorch's default process group.

    Attributes:
        rank: which of them this is, from 0.
        size: how many there are.

    Example:
        >>> alone = Group()
        >>> alone.share(torch.arange(3)), alone.add_(torch.ones(2)), list(range(5))[alone.turns]
        ((tensor([0, 1, 2]), 1.0), tensor([1., 1.]), [0, 1, 2, 3, 4])
        >>> Group(rank=1, size=2).share(torch.arange(3)), list(range(5))[Group(rank=1, size=2).turns]
        ((tensor([2]), 0.3333333333333333), [1, 3])

    """

    rank: int = 0
    size: int = 1

    @property
    def turns(self) -> slice:
        """Whose turn it is: of a sequence every `size`-th, from `rank` on."""
        return slice(self.rank, None, self.size)

    def share(self, batch: Tensor) -> tuple[Tensor, float]:
        """This process's part of a batch, and the weight of its mean in the mean over the batch.

        A batch with fewer examples than there are processes is everybody's, and counts at rank 0.
        """
        if len(batch) < self.size:
            return batch, float(self.rank == 0)
        own = batch.tensor_split(self.size)[self.rank]
        return own, len(own) / len(batch)

    def add_(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.size > 1:
            with answered():
                dist.all_reduce(tensor)
        return tensor

    def stack(self, tensor: Tensor) -> Tensor:
        """The tensors of all processes, of one shape, by rank: [size, ...]."""
        if self.size == 1:
            return tensor[None]
        found = [torch.empty_like(tensor) for _ in range(self.size)]
        with answered():
            dist.all_gather(found, tensor.contiguous())
        return torch.stack(found)

    def collect(self, thing: T) -> list[T]:
        """What all processes have, by rank; small things, as they are pickled."""
        if self.size == 1:
            return [thing]
        found: list[Any] = [None] * self.size
        with answered():
            dist.all_gather_object(found, thing)
        return found

    def in_order(self, rows: list[Row]) -> list[Row]:
        """The rows of all processes in the order of one that has all the turns.

        Args:
            rows: each begins with the number of its turn, counted from 0 among this process's own.

        """
        if self.size == 1:
            return rows
        ranks = enumerate(self.collect(rows))
        found: list[Any] = [(row[0] * self.size + rank, *row[1:]) for rank, own in ranks for row in own]
        return sorted(found, key=lambda row: row[0])

    def check_same(self, tensor: Tensor) -> None:
        """Raise a RunError unless all processes have a tensor of the same bits, as a sum over its bytes can tell."""
        if self.size > 1 and len(set(self.collect(int(tensor.detach().contiguous().view(torch.uint8).sum())))) > 1:
            raise RunError(
                "the processes of this job ask for f at different weights: each must do the same in the same order, on "
                "processors of one kind; the same command in one process needs no agreement"
            )

    def first(self, thing: T) -> T:
        """What rank 0 has."""
        return self.collect(thing)[0]

    def wait(self) -> None:
        """Return when all processes are here."""
        self.add_(torch.zeros(1))

    @contextmanager
    def one_after_rank_0(self) -> Iterator[None]:
        """Let rank 0 do it alone, and then the others together: to download what all of them read."""
        if self.rank:
            self.wait()
        yield
        if not self.rank:
            self.wait()


ALONE = Group()


@contextmanager
def answered() -> Iterator[None]:
    """Turn what PyTorch raises when another process is gone into a RunError."""
    try:
        yield
    except RuntimeError as error:
        raise RunError(
            "another process of this job has ended, or has not answered for an hour; what was finished is kept, "
            "and the same command goes on from there"
        ) from error
