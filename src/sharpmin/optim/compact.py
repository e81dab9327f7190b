"""The limited-memory BFGS matrix B in its compact form (section 3 of Byrd, Lu, Nocedal and Zhu 1995).

    B = theta I - W M W^T                                                (3.2)
    W = [Y, theta S]                                                     (3.3)
    M = [[-D, L^T], [L, theta S^T S]]^-1                                 (3.4)

S and Y hold the last steps s = x' - x and gradient changes y = g' - g as columns, oldest first; D is the
diagonal and L the strictly lower triangle of S^T Y; theta = y^T y / s^T y of the newest pair.

The 2m vectors are the only ones of length n kept here. Everything else is 2m x 2m, in float64 on the host.
"""

import math

import torch
from torch import Tensor

from sharpmin.optim.blocks import columns


class SingularError(ArithmeticError):
    """A small system that should be definite is not: the memory is no longer worth trusting."""


class CompactMatrix:
    """The pairs (y_j, s_j), their inner products, and the products with W that the algorithm needs.

    Rows 2j and 2j + 1 of `vectors` hold the pair in slot j. `order` lists the slots in use, oldest first.
    `gram` holds the inner products of each s with all s and with the y that are no newer: those that M needs.
    """

    def __init__(self, like: Tensor, memory: int) -> None:
        self.memory = memory
        self.vectors = like.new_empty((2 * memory, len(like)))
        self.gram = torch.zeros((2 * memory, 2 * memory), dtype=torch.float64)
        self.forget()

    def forget(self) -> None:
        """Go back to B = I."""
        self.order: list[int] = []
        self.theta = 1.0
        self._middle: Tensor | None = None

    def open_slot(self) -> int:
        """Make room for a new pair, dropping the oldest when the memory is full; return its slot."""
        slot = self.order.pop(0) if len(self.order) == self.memory else len(self.order)
        self.order.append(slot)
        self._middle = None
        return slot

    def record(self, slot: int, products: Tensor, yy: float) -> None:
        """Take in the inner products of the slot's s with all used rows, and y^T y, and set theta."""
        write_symmetric(self.gram, slice(2 * slot + 1, 2 * slot + 2), products[None])
        sy = float(products[2 * slot])
        self.theta = yy / sy if sy > 0 and yy > 0 else math.nan

    @property
    def used(self) -> Tensor:
        """The rows of `vectors` that hold pairs, in slot order."""
        return self.vectors[: 2 * len(self.order)]

    @property
    def rows(self) -> list[int]:
        """Which row of `vectors` each column of W = [Y, theta S] is."""
        return [2 * j for j in self.order] + [2 * j + 1 for j in self.order]

    @property
    def scale(self) -> Tensor:
        """The factor 1 or theta of each column of W."""
        count = len(self.order)
        return torch.tensor([1.0] * count + [self.theta] * count, dtype=torch.float64)

    def factors(self, q: Tensor) -> Tensor:
        """Return a vector in the order of W's columns as the factors of the used rows that W q consists of."""
        by_row = torch.zeros(2 * len(self.order), dtype=torch.float64)
        by_row[self.rows] = self.scale * q
        return by_row.to(self.vectors)

    def columns(self, index: Tensor) -> Tensor:
        """Return W^T restricted to the variables in `index`, in float64 (2m x k)."""
        chosen = columns(self.used, index)[self.rows]
        return chosen * self.scale.to(chosen)[:, None]

    def in_order(self, products: Tensor) -> Tensor:
        """Return products with the rows of `vectors` (..., 2m) as products with the columns of W."""
        return products[..., self.rows] * self.scale

    def gram_in_order(self, gram: Tensor) -> Tensor:
        """Return a Gram matrix of the rows of `vectors` as that of the columns of W."""
        return self.in_order(self.in_order(gram).T)

    @property
    def middle(self) -> Tensor:
        """M of (3.4), as a dense matrix; raises SingularError where it does not exist."""
        if self._middle is None:
            if not math.isfinite(self.theta):
                raise SingularError("the newest pair has no positive curvature")
            D, L, SS = self._blocks(self.gram)
            size = 2 * len(self.order)
            self._middle = solve_saddle(D, L, self.theta * SS, torch.eye(size, dtype=torch.float64))
        return self._middle

    def solve_reduced(self, gram_free: Tensor, rhs: Tensor) -> Tensor:
        """Return K^-1 rhs, with K = M^-1 - W_F^T W_F / theta; the matrix W_F^T W_F of the free variables F is given.

        K = [[-D - Y_F^T Y_F / theta, (L - S_F^T Y_F)^T], [L - S_F^T Y_F, theta (S^T S - S_F^T S_F)]], the
        matrix whose inverse times M^-1 is the N of (5.11).
        """
        D, L, SS = self._blocks(self.gram)
        m = len(self.order)
        inner = gram_free / self.theta
        YY_F, SY_F, SS_F = inner[:m, :m], inner[m:, :m], inner[m:, m:]
        return solve_saddle(D + YY_F, L - SY_F, self.theta * SS - SS_F, rhs)

    def _blocks(self, gram: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return D, L and S^T S, oldest pair first."""
        y, s = [2 * j for j in self.order], [2 * j + 1 for j in self.order]
        SY = gram[s][:, y]
        return SY.diag().diag(), SY.tril(-1), gram[s][:, s]


def write_symmetric(gram: Tensor, rows: slice, products: Tensor) -> None:
    """Write the inner products of some rows with all used ones into a Gram matrix, both ways."""
    used = products.shape[1]
    gram[rows, :used] = products
    gram[:used, rows] = products.T


def solve_saddle(E: Tensor, J: Tensor, C: Tensor, rhs: Tensor) -> Tensor:
    """Solve [[-E, J^T], [J, C]] z = rhs, where E and its Schur complement C + J E^-1 J^T are positive definite.

    Raises SingularError where one of them is not, which is how lost curvature is noticed.
    """
    m = len(E)
    matrix = rhs if rhs.ndim == 2 else rhs[:, None]
    top, bottom = matrix[:m], matrix[m:]
    root_E = _cholesky(E)
    schur = _cholesky(C + J @ torch.cholesky_solve(J.T, root_E))
    lower = torch.cholesky_solve(bottom + J @ torch.cholesky_solve(top, root_E), schur)
    upper = torch.cholesky_solve(J.T @ lower - top, root_E)
    return torch.cat([upper, lower]).reshape(rhs.shape)


def _cholesky(matrix: Tensor) -> Tensor:
    root, info = torch.linalg.cholesky_ex(matrix)
    if int(info) or not bool(root.isfinite().all()):
        raise SingularError("a matrix of the compact representation is not positive definite")
    return root
