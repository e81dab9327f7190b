"""A Krylov space of a symmetric matrix that is known by its products, and the eigenpairs found in it.

Lanczos with full re-orthogonalisation, from one or several vectors (the band version of Ruhe 1979: one vector is
multiplied at a time), restarted with the best Ritz vectors when the basis is full (thick restart, Wu and Simon
2000). Each product is orthogonalised against every basis vector, not only the last two, and all coefficients are kept:

    A V_p = V_q H,    V_q = [v_1 ... v_q] orthonormal, the first p of them multiplied, H in R^{q x p}.

The Ritz pairs are those of the symmetric part of H's first p rows, and for a pair (lambda, y = V_p s)

    |A y - lambda y| = |H s - lambda [s; 0]|

is all of its residual: what leads out of the space, and what in H is not symmetric, which is the products' own error
(rounding, a finite difference). Only the rounding of the basis vectors is not in it. They are in the matrix's dtype,
their inner products are accumulated in float64 (`sharpmin.optim.blocks`), their combinations computed in it.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sharpmin.optim.blocks import norm, products

F64 = torch.float64
COLUMNS = 1 << 13  # of a basis, in float64 at a time: they stay in the cache
MOST = 0.7  # of a vector's length: where less is left of it, what rounding left in it counts for more
NOTHING = 32  # what is left of a vector below so many roundings of it is rounding


class Symmetric(Protocol):
    """A symmetric matrix that is known by its products: a `Curvature`, a tensor."""

    @property
    def shape(self) -> torch.Size:
        """[n, n]."""

    @property
    def dtype(self) -> torch.dtype:
        """Of products."""

    @property
    def device(self) -> torch.device:
        """Of products."""

    def __matmul__(self, v: Tensor, /) -> Tensor:
        """The product [n] with v [n], a new tensor."""


class Basis:
    """Orthonormal vectors, the rows of a matrix that is filled from the top.

    Args:
        most: vectors to hold.
        like: the matrix they belong to, for their length, dtype and device.

    Example:
        >>> basis = Basis(2, torch.eye(3))
        >>> basis.append(torch.tensor([3.0, 0.0, 0.0])), basis.append(torch.tensor([1.0, 1.0, 0.0]))
        (3.0, 1.0)
        >>> basis.rows.tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]

    """

    def __init__(self, most: int, like: Symmetric) -> None:
        self._rows = torch.empty(most, like.shape[0], dtype=like.dtype, device=like.device)
        self.count = 0

    @property
    def rows(self) -> Tensor:
        """The vectors, [count, n]."""
        return self._rows[: self.count]

    @property
    def full(self) -> bool:
        """Whether there is no room for another."""
        return self.count == len(self._rows)

    def remove_from(self, w: Tensor) -> Tensor:
        """Make w [n] orthogonal to the basis, in place; the coefficients removed, [count].

        Once is enough where most of w is left, and else twice (Daniel, Gragg, Kaufman and Stewart 1976).
        """
        before, once = norm(w), self._remove_once(w)
        return once if norm(w) > MOST * before else once + self._remove_once(w)

    def _remove_once(self, w: Tensor) -> Tensor:
        found = products(self.rows, w[None])[:, 0].to(w.dtype)
        w.addmv_(self.rows.T, found, alpha=-1)
        return found.to(F64)

    def append(self, w: Tensor) -> float:
        """Add w, overwritten, made orthogonal and normal; its length. Where nothing is left, nothing is added."""
        before = norm(w)
        self.remove_from(w)
        return self.append_orthogonal(w, scale=before)

    def append_orthogonal(self, w: Tensor, *, scale: float) -> float:
        """Add w, which is orthogonal already, made normal; its length, 0 where that is a mere rounding of `scale`."""
        left = norm(w)
        if left <= NOTHING * torch.finfo(w.dtype).eps * scale:
            return 0.0
        torch.div(w, left, out=self._rows[self.count])
        self.count += 1
        return left

    def combined(self, coordinates: Tensor) -> Tensor:
        """The vectors with these coordinates [k, p] in the first p vectors: [k, n]."""
        p = coordinates.shape[1]
        parts = [coordinates @ columns.to(F64) for columns in self._rows[:p].split(COLUMNS, 1)]
        return torch.cat([part.to(self._rows.dtype) for part in parts], 1)

    def replace(self, coordinates: Tensor) -> None:
        """Put the combinations [k, p] in the place of the first p vectors, k <= p, and move the others up."""
        k, p = coordinates.shape
        for columns in self._rows[: self.count].split(COLUMNS, 1):
            others = columns[p:].clone()
            columns[:k] = (coordinates @ columns[:p].to(F64)).to(columns.dtype)
            columns[k : k + len(others)] = others
        self.count -= p - k


@dataclass(frozen=True)
class Ritz:
    """Approximate eigenpairs in a Krylov space, ascending, all in float64.

    Attributes:
        values: [p].
        coordinates: of the Ritz vectors in the basis, [p, p], one a row.
        residuals: |A y - value y|, [p].

    """

    values: Tensor
    coordinates: Tensor
    residuals: Tensor


class Krylov:
    """A growing Krylov space.

    Args:
        matrix: A, [n, n].
        most: basis vectors to hold, above 2 `block`.
        block: vectors to start from. An eigenvalue is found as often as it occurs, up to `block` times.
        generator: of the random vectors, on the CPU, so that they are the same on every device.
        start: the first of the vectors to start from, [n]; by default random, as the others are.

    Attributes:
        multiplied: p.

    Example:
        >>> space = Krylov(torch.diag(torch.arange(5.0)), most=6, generator=torch.Generator())
        >>> for _ in range(5):
        ...     space.grow()
        >>> [abs(round(value, 4)) for value in space.ritz().values.tolist()]
        [0.0, 1.0, 2.0, 3.0, 4.0]

    Source: Ruhe 1979; Wu and Simon 2000; Parlett 1998, chapter 13.

    """

    def __init__(
        self,
        matrix: Symmetric,
        *,
        most: int,
        generator: torch.Generator,
        block: int = 1,
        start: Tensor | None = None,
    ) -> None:
        self.matrix, self.basis = matrix, Basis(most, matrix)
        self.generator = generator
        self.h = torch.zeros(most, most, dtype=F64)
        self.multiplied = 0
        if start is not None:
            self.basis.append(start.to(matrix.device, matrix.dtype, copy=True))
        for _ in range(block - self.basis.count):
            self._begin()

    @property
    def full(self) -> bool:
        """Whether it must be restarted before it can grow."""
        return self.basis.full and self.basis.count < self.matrix.shape[0]

    @property
    def whole(self) -> bool:
        """Whether the space is all of R^n."""
        return self.multiplied == self.matrix.shape[0]

    def grow(self) -> None:
        """Multiply one more basis vector; the space must not be full, nor whole."""
        p = self.multiplied
        if p == self.basis.count:  # the space is invariant: go on in its complement
            self._begin()
        w = self.matrix @ self.basis.rows[p]
        scale = norm(w)
        found = self.basis.remove_from(w)
        self.h[: len(found), p] = found.cpu()
        if self.basis.count < self.matrix.shape[0]:
            self.h[len(found), p] = self.basis.append_orthogonal(w, scale=scale)
        self.multiplied += 1

    def ritz(self) -> Ritz:
        """The eigenpairs found so far."""
        p, h = self.multiplied, self.h[: self.basis.count, : self.multiplied]
        values, vectors = torch.linalg.eigh((h[:p] + h[:p].T) / 2)
        left = h @ vectors
        left[:p] -= vectors * values
        return Ritz(values, vectors.T, torch.linalg.vector_norm(left, dim=0))

    def asymmetry(self) -> float:
        """The largest |h_ij - h_ji|, where both are known: the products' own error."""
        h = self.h[: self.multiplied, : self.multiplied]
        return (h - h.T).abs().max().item()

    def restart(self, keep: Tensor) -> None:
        """Shrink the space to the Ritz vectors with these coordinates [k, p] and what was not multiplied yet."""
        k, p, q = len(keep), self.multiplied, self.basis.count
        h = self.h[:q, :p] @ keep.T
        self.h.zero_()
        self.h[:k, :k] = keep @ h[:p]
        self.h[k : k + q - p, :k] = h[p:]
        self.basis.replace(keep.to(self.matrix.device))
        self.multiplied = k

    def _begin(self) -> None:
        """Add a random vector."""
        n = self.matrix.shape[0]
        drawn = torch.randn(n, generator=self.generator, dtype=torch.float32)
        self.basis.append(drawn.to(self.matrix.device, self.matrix.dtype))
