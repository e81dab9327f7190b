"""Long vectors, walked in blocks that stay in the cache; inner products accumulated in float64.

An iteration of L-BFGS-B is some fifty elementwise operations around two products with 2m stored vectors.
Done one whole vector at a time each is a trip to memory, and each temporary another vector of length n.
Block by block the temporaries are small, live in the cache, and do not count as memory.

A product of many stored vectors with a few others is a batch of small matrix products, one per cell of 8192
entries, whose results are added up in float64. For float64 data nothing else is rounded differently; for
float32 the products inside a cell are summed in float32, which costs about 1e-9 of |a| |b| at n = 2 million
(converting the 2m vectors first costs twice the time). Half precision is converted to float32 first.

Inside a block masks are 0 and 1 in the data's own dtype: multiplying by one is several times faster on a CPU than
`torch.where`, and selecting by a boolean slower still.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

BLOCK = 1 << 17
"""Entries per block: enough for PyTorch to share between a few threads, few enough for a last-level cache."""

CELL = 1 << 13
"""Entries per cell of a product."""

FEW = 1 << 14
"""Variables whose entries in all stored vectors are gathered at once."""


def blocks(like: Tensor, size: int = BLOCK) -> Iterator[slice]:
    """Yield the slices that cut the last dimension of `like` into blocks, in order."""
    n = like.shape[-1]
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Return the inner product of two blocks, multiplied and summed in float64, as a scalar tensor."""
    return torch.dot(a.to(torch.float64), b.to(torch.float64))


def square(a: Tensor) -> Tensor:
    """Return the inner product of a block with itself."""
    wide = a.to(torch.float64)
    return torch.dot(wide, wide)


def inner(a: Tensor, b: Tensor) -> float:
    """<a, b> of two whole vectors, multiplied and summed in float64."""
    return sum(dot(a[part], b[part]).item() for part in blocks(a))


def norm(a: Tensor) -> float:
    """|a|."""
    return math.sqrt(sum(square(a[part]).item() for part in blocks(a)))


def all_finite(a: Tensor) -> bool:
    """Whether every number is finite: sooner read off their sum, which can be finite only if they are.

    Example:
        >>> all_finite(torch.full((3,), 3e38)), all_finite(torch.tensor([torch.inf, -torch.inf]))
        (True, False)

    """
    return bool(a.sum().isfinite()) or bool(a.isfinite().all())


def products(a: Tensor, b: Tensor) -> Tensor:
    """Return the inner products of each row of a (r x L) with each row of b (k x L) as float64 (r x k)."""
    if a.dtype.itemsize < 4:
        a, b = a.to(torch.float32), b.to(torch.float32)
    (cells_a, rest_a), (cells_b, rest_b) = _cells(a), _cells(b)
    total = (rest_a @ rest_b.T).to(torch.float64)
    return total.add_(torch.bmm(cells_a, cells_b.transpose(1, 2)).sum(0, dtype=torch.float64))


def combine(factors: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """Write the combination of the rows of b (k x L) with the given factors to `out` (L)."""
    cells, rest = _cells(b)
    cells_out, rest_out = _cells(out[None])
    torch.bmm(factors.expand(len(cells), 1, -1), cells, out=cells_out)
    torch.mm(factors[None], rest, out=rest_out)
    return out


def _cells(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return views of the rows' whole cells (cells x rows x CELL) and of the remaining columns."""
    cells = rows.shape[1] // CELL
    whole = cells * CELL
    return rows[:, :whole].view(len(rows), cells, CELL).transpose(0, 1), rows[:, whole:]


def columns(rows: Tensor, index: Tensor) -> Tensor:
    """Return some columns of a few long rows, in float64; on a CPU much faster than `index_select`."""
    return rows.gather(1, index.expand(len(rows), -1)).to(torch.float64)


def between(t: Tensor, low: float, high: float) -> Tensor:
    """Return where low < t <= high; NumPy, where it knows the dtype, compares several times as fast as PyTorch."""
    if t.device.type == "cpu" and t.dtype != torch.bfloat16:
        return torch.from_numpy(np.flatnonzero((t.numpy() > low) & (t.numpy() <= high)))
    return indices((t > low).logical_and_(t <= high))


def indices(mask: Tensor) -> Tensor:
    """Return where a boolean vector is true. NumPy skips runs of false, PyTorch on a CPU does not."""
    if mask.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.nonzero().squeeze(1)
