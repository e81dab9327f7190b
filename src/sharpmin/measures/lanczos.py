"""Eigenpairs at the ends of the spectrum of a symmetric matrix that is known by its products.

Lanczos with full re-orthogonalisation and thick restarts (`sharpmin.measures.krylov`), until every pair wanted has

    |A y - lambda y| <= max(tol |lambda|, 100 eps max |lambda|),    |y| = 1.

Some eigenvalue of A is then within that distance of lambda, and usually far nearer: for a pair apart from the others
the error of lambda is of the order of the residual squared over the gap. The second term is what rounding leaves.

Two things no Lanczos method can promise. An eigenvalue is found as often as it occurs only up to `block` times; one
start vector sees each eigenvalue once, until rounding brings in the others. And a pair that is hardly in the start
vectors can be overtaken: what is found are eigenpairs; that none lies beyond them is likely, not certain.
"""

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from sharpmin.errors import UsageError
from sharpmin.measures.krylov import Krylov, Ritz, Symmetric
from sharpmin.progress import Progress, silent

Which = Literal["top", "bottom", "both"]
BASIS_BYTES = 2 * 2**30  # of the basis by default
ROUNDING = 100  # units of eps max |lambda|, below which no residual is asked to be

MESSAGES = {
    "converged": "every pair asked for has a residual within the tolerance",
    "products": "the products allowed were used up; `converged` says which pairs are within the tolerance",
    "whole": "the basis spans the whole space, so there is no more to find; the residuals are the products' own error",
}


class Pairs(NamedTuple):
    """Eigenpairs, descending.

    Attributes:
        values: [k], or [2k] for both ends, in float64.
        vectors: of length 1, one a row, in the matrix's dtype; their signs are arbitrary.
        residuals: |A y - lambda y| of each.
        converged: whether each is within the tolerance.
        products: of the matrix with a vector.
        asymmetry: the largest difference of two products v_i . A v_j and v_j . A v_i: the products' own error.
        status: "converged", "products" or "whole"; see MESSAGES.

    """

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    converged: Tensor
    products: int
    asymmetry: float
    status: str


def eigenpairs(
    matrix: Symmetric,
    *,
    k: int = 10,
    which: Which = "top",
    tol: float = 1e-3,
    max_products: int = 300,
    max_basis: int | None = None,
    block: int = 1,
    start: Tensor | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Pairs:
    """Find the k largest eigenvalues, the k smallest, or both.

    Args:
        matrix: A, [n, n].
        k: pairs at each end.
        which: "top", "bottom" or "both".
        tol: relative to each eigenvalue.
        max_products: to spend at most.
        max_basis: vectors [n] to hold at most; by default as many as fit into 2 GiB.
        block: start vectors.
        start: the first of them, [n]; by default random.
        seed: of the random start vectors.
        progress: told the products done.

    Raises:
        UsageError: no pairs or more than n, a tolerance below 0, too few products or too small a basis for them, a
            start of another length or that is 0 or not finite.

    Example:
        >>> pairs = eigenpairs(torch.diag(torch.arange(100.0)), k=2, tol=1e-5)
        >>> [round(value, 3) for value in pairs.values.tolist()], pairs.status
        ([99.0, 98.0], 'converged')

    Source: Wu and Simon 2000; Parlett 1998, The symmetric eigenvalue problem, chapter 13.

    """
    wanted = check(matrix, k, which, tol, max_products, block)
    check_start(matrix, start)
    most = basis_size(matrix, wanted, max_products, max_basis, block)
    space = Krylov(matrix, most=most, block=block, generator=torch.Generator().manual_seed(seed), start=start)
    for products in range(1, max_products + 1):
        if space.full:
            space.restart(worth_keeping(space.ritz(), wanted, which))
        space.grow()
        ritz, at_ends = space.ritz(), ends(space.multiplied, k, which)
        converged = is_within(ritz, tol, eps=torch.finfo(matrix.dtype).eps)[at_ends]
        note = f"{int(converged.sum())} of {wanted} converged"
        progress("spectrum", products, None, unit="products", note=note)
        if space.multiplied >= wanted and (bool(converged.all()) or space.whole):
            break
    status = "converged" if bool(converged.all()) else "whole" if space.whole else "products"
    vectors = space.basis.combined(ritz.coordinates[at_ends].to(matrix.device))
    return Pairs(ritz.values[at_ends], vectors, ritz.residuals[at_ends], converged, products, space.asymmetry(), status)


def ends(count: int, k: int, which: Which) -> Tensor:
    """The places of the pairs wanted among `count` in ascending order, the largest first."""
    top = list(range(count - 1, max(count - 1 - k, -1), -1)) if which != "bottom" else []
    bottom = list(range(min(k, count) - 1, -1, -1)) if which != "top" else []
    return torch.tensor([*top, *bottom])


def is_within(ritz: Ritz, tol: float, *, eps: float) -> Tensor:
    """Whether the residual of each pair is within the tolerance."""
    rounding = ROUNDING * eps * ritz.values.abs().max()
    return ritz.residuals <= (tol * ritz.values.abs()).clamp(min=rounding)


def worth_keeping(ritz: Ritz, wanted: int, which: Which) -> Tensor:
    """The coordinates of the pairs to restart with: those wanted and half of the others, from the wanted ends."""
    count = len(ritz.values)
    kept = wanted + (count - wanted) // 2
    low = {"top": 0, "bottom": kept, "both": kept // 2}[which]
    return torch.cat([ritz.coordinates[:low], ritz.coordinates[count - (kept - low) :]])


def check(matrix: Symmetric, k: int, which: str, tol: float, max_products: int, block: int) -> int:
    """How many pairs are wanted in all; a UsageError where that makes no sense."""
    if which not in get_args(Which):
        raise UsageError(f"unknown which {which!r}: choose one of {', '.join(get_args(Which))}")
    n, wanted = matrix.shape[0], 2 * k if which == "both" else k
    if k < 1 or wanted > n:
        raise UsageError(f"{wanted} eigenpairs of a matrix with {n} rows: ask for at least 1 and at most {n}")
    if not tol >= 0:
        raise UsageError(f"tol is {tol}: it must be 0 or a number above")
    if not 1 <= block <= n:
        raise UsageError(f"a block of {block} start vectors: choose 1 to {n}")
    if max_products < wanted:
        raise UsageError(f"max_products is {max_products}: {wanted} eigenpairs need at least as many products")
    return wanted


def check_start(matrix: Symmetric, start: Tensor | None) -> None:
    """Raise a UsageError for a vector from which nothing can start."""
    if start is None:
        return
    if start.shape != matrix.shape[:1]:
        raise UsageError(f"start has shape {list(start.shape)}; the matrix has {matrix.shape[0]} rows")
    if not (bool(start.isfinite().all()) and bool(start.any())):
        raise UsageError("start must be finite, and not 0")


def basis_size(matrix: Symmetric, wanted: int, max_products: int, max_basis: int | None, block: int) -> int:
    """Basis vectors to hold."""
    least = wanted + block + 2
    if max_basis is None:
        fitting = BASIS_BYTES // (matrix.shape[0] * torch.finfo(matrix.dtype).bits // 8)
        return min(max(fitting, 2 * least), max_products + block)
    if max_basis < least:
        raise UsageError(f"max_basis is {max_basis}: {wanted} eigenpairs need a basis of at least {least} vectors")
    return max_basis
