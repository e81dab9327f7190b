"""A random subspace of weight space: the columns of A in R^{n x p}, entries standard normal.

Keskar et al. 2017 restrict the maximisation of Metric 2.1 to x + A y, y in R^p. For a network A is large (C1,
p = 100: 0.7 GB in float32). It is never held beyond a stated budget: A is cut into blocks of rows, each drawn from
its own seed, and a block that does not fit the budget is drawn again each time it is needed.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from sharpmin.errors import UsageError

BLOCK_ROWS = 1 << 17


class RandomSubspace:
    """A in R^{n x p} with standard normal entries, in blocks of rows.

    Args:
        n: number of weights.
        p: dimension of the subspace, at most n.
        seed: of the entries; the same on every device and within any budget.
        like: a tensor of the dtype and on the device to compute in.
        budget: bytes of A to hold; what is beyond is regenerated.

    Raises:
        UsageError: p is not between 1 and n.

    """

    def __init__(self, n: int, p: int, *, seed: int, like: Tensor, budget: int = 2**30) -> None:
        if not 1 <= p <= n:
            raise UsageError(f"a subspace of {p} dimensions does not fit {n} weights: choose 1 to {n}")
        self.n, self.p, self.seed, self.like = n, p, seed, like
        self.starts = range(0, n, BLOCK_ROWS)
        held = budget // (BLOCK_ROWS * p * like.element_size())
        self.held = [self._draw(start) for start in self.starts[:held]]

    def apply(self, y: Tensor) -> Tensor:
        """A y, [n], for y [p]."""
        return torch.cat([block @ y for _, block in self._blocks()])

    def transposed(self, g: Tensor) -> Tensor:
        """A^T g, [p], for g [n]; summed over the blocks in float64."""
        total = torch.zeros(self.p, dtype=torch.float64, device=self.like.device)
        for start, block in self._blocks():
            total += block.T @ g[start : start + len(block)]
        return total.to(self.like.dtype)

    def coordinates(self, x: Tensor) -> Tensor:
        """A^+ x = (A^T A)^{-1} A^T x, [p], from the p x p normal equations in float64."""
        gram = torch.zeros(self.p, self.p, dtype=torch.float64, device=self.like.device)
        right = torch.zeros(self.p, dtype=torch.float64, device=self.like.device)
        for start, block in self._blocks():
            wide = block.double()
            gram += wide.T @ wide
            right += wide.T @ x[start : start + len(block)].double()
        return torch.linalg.solve(gram, right).to(self.like.dtype)

    def _blocks(self) -> Iterator[tuple[int, Tensor]]:
        for i, start in enumerate(self.starts):
            yield start, self.held[i] if i < len(self.held) else self._draw(start)

    def _draw(self, start: int) -> Tensor:
        seed = np.random.SeedSequence([self.seed, start]).generate_state(1, np.uint64).item()
        rows = min(BLOCK_ROWS, self.n - start)
        block = torch.randn(rows, self.p, generator=torch.Generator().manual_seed(seed))
        return block.to(self.like)
