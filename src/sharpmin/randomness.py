"""The random numbers of f: a fixed stream for each batch, by its number, and the caller's own untouched.

So a batch meets the same numbers whichever process computes it, and whatever was computed before it.
"""

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TypeVar

import torch

T = TypeVar("T")


class RandomStream:
    """PyTorch's random state, swapped for one of our own while inside `with`.

    It goes on where it was left, so work may be handed out between two uses; what happens outside draws from the
    caller's state, which nothing here moves.

    Args:
        device: whose random state is swapped beside the CPU's.
        seed: of the stream; any integer.

    Example:
        >>> state, stream = torch.get_rng_state(), RandomStream(torch.device("cpu"))
        >>> with stream:
        ...     _ = torch.rand(3)
        >>> torch.equal(torch.get_rng_state(), state)
        True

    """

    def __init__(self, device: torch.device, *, seed: int = 0) -> None:
        seed %= 2**64
        self.device = device if device.type == "cuda" else None
        self.cpu = torch.Generator().manual_seed(seed).get_state()
        self.cuda = None if self.device is None else torch.Generator(device).manual_seed(seed).get_state()

    def __enter__(self) -> None:
        self._swap()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._swap()

    def through(self, items: Iterable[T]) -> Iterator[T]:
        """Read an iterable with these random numbers: a loader that shuffles draws its order from them."""
        with self:
            iterator = iter(items)
        while True:
            with self:
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def _swap(self) -> None:
        self.cpu, ours = torch.get_rng_state(), self.cpu
        torch.set_rng_state(ours)
        if self.device is not None and self.cuda is not None:
            self.cuda, there = torch.cuda.get_rng_state(self.device), self.cuda
            torch.cuda.set_rng_state(there, self.device)
