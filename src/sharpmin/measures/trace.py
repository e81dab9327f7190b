"""The trace of the Hessian of f, or of its Gauss-Newton matrix, by Hutch++ (Meyer et al. 2021): the sum of eigenvalues.

With m products a third goes to a sketch A S, S random signs, whose orthonormal basis Q catches the large eigenvalues; a
third to their part of the trace, exactly; and the rest to Hutchinson's estimator on what is left, with random signs g:

    tr A = tr Q^T A Q + E (P g)^T A (P g),    P = I - Q Q^T.

Given Q the second term is a mean of independent numbers; its standard error is that of the estimate, which is unbiased.
A network's Hessian has a few large eigenvalues and many small ones, so little is left to chance.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sharpmin.errors import UsageError
from sharpmin.measures.krylov import Basis, Symmetric
from sharpmin.objective import Objective
from sharpmin.optim.blocks import inner
from sharpmin.products import Curvature, curvature_of
from sharpmin.progress import Progress, silent


@dataclass(frozen=True, eq=False)
class Trace:
    """The trace, with what makes it believable.

    Attributes:
        value: the estimate of tr A.
        standard_error: of value, from `samples`, and of few of them a rough one (docs/curvature.md); 0 where the sketch
            caught the whole matrix.
        caught: tr Q^T A Q, the part that is exact.
        samples: of the rest, one a random vector; value is caught + their mean.
        products: of the matrix with a vector.
        size: n; value / n is the mean eigenvalue.
        seconds: time taken.
        seed: of the random vectors.
        matrix: "hessian" or "gauss-newton".
        method: how products were computed; see `sharpmin.products.curvature`.
        names: the weights that the matrix belongs to.
        batch_norm: policy of f.
        batch_size: evaluation batch of f; None where the data came in batches of their own.
        precision: of f.

    """

    value: float
    standard_error: float
    caught: float
    samples: Tensor
    products: int
    size: int
    seconds: float
    seed: int
    matrix: str
    method: str
    names: tuple[str, ...]
    batch_norm: str
    batch_size: int | None
    precision: str


def trace(f: Objective | Curvature, *, products: int = 60, seed: int = 0, progress: Progress = silent) -> Trace:
    """Estimate the trace, with its standard error.

    Args:
        f: an objective, for its Hessian at the model's present weights; or a `Curvature`.
        products: to spend, at least 6; a third of them vectors [n] are held.
        seed: of the random vectors; the same on every device and in every precision.
        progress: told the products done.

    Raises:
        UsageError: fewer than 6 products; whatever `Curvature` raises.

    Example:
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> found = trace(Objective(torch.nn.Linear(4, 3), toy.train), products=45)
        >>> found.value > 0, found.standard_error < 1e-4 * found.value  # 15 weights: the sketch catches it all
        (True, True)

    Source: Meyer, Musco, Musco and Woodruff 2021, Hutch++, algorithm 1.

    """
    if products < 6:
        raise UsageError(f"{products} products: ask for at least 6, two for each of the three parts")
    matrix, began = curvature_of(f), time.perf_counter()
    parts = hutch(matrix, products, seed=seed, progress=progress)
    count = len(parts.samples)
    return Trace(
        value=parts.caught + parts.samples.mean().item(),
        standard_error=parts.samples.std().item() / math.sqrt(count),
        caught=parts.caught,
        samples=parts.samples,
        products=parts.products,
        size=matrix.size,
        seconds=time.perf_counter() - began,
        seed=seed,
        **matrix.evidence(),
    )


class Parts(NamedTuple):
    """The part of a trace that is exact, samples of the rest, and the products spent."""

    caught: float
    samples: Tensor
    products: int


def hutch(matrix: Symmetric, products: int, *, seed: int = 0, progress: Progress = silent) -> Parts:
    """Hutch++ on any symmetric matrix.

    Example:
        >>> parts = hutch(torch.diag(torch.tensor([9.0, 1.0, 0.0])), 9)
        >>> round(parts.caught, 3), parts.samples.abs().max() < 1e-4
        (10.0, tensor(True))

    """
    third, signs, done = products // 3, draws(matrix, seed), 0
    basis = Basis(third, matrix)

    def times(v: Tensor) -> Tensor:
        nonlocal done
        done += 1
        progress("trace", done, products, unit="products")
        return matrix @ v

    for _ in range(third):
        basis.append(times(next(signs)))
    caught = sum(inner(q, times(q)) for q in basis.rows)
    samples = []
    for _ in range(products - 2 * third):
        g = next(signs)
        basis.remove_from(g)
        samples.append(inner(g, times(g)))
    return Parts(caught, torch.tensor(samples, dtype=torch.float64), done)


def draws(matrix: Symmetric, seed: int) -> Iterator[Tensor]:
    """Vectors [n] of random signs, drawn on the CPU, so the same everywhere."""
    generator, n = torch.Generator().manual_seed(seed), matrix.shape[0]
    while True:
        drawn = torch.randint(256, (-(-n // 8),), generator=generator, dtype=torch.uint8)
        bits = torch.from_numpy(np.unpackbits(drawn.numpy(), count=n))
        yield bits.to(matrix.device, matrix.dtype).mul_(2).sub_(1)
