"""The largest and the smallest eigenvalues of the Hessian of f, or of its Gauss-Newton matrix, with their vectors.

By Lanczos: see `sharpmin.measures.lanczos`, which also says what the residuals promise and what they do not.
"""

import time
from dataclasses import dataclass

from torch import Tensor

from sharpmin.measures.lanczos import MESSAGES, Which, eigenpairs
from sharpmin.objective import Objective
from sharpmin.products import Curvature, curvature_of
from sharpmin.progress import Progress, silent


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenpairs at the ends of the spectrum, with what makes them believable.

    Attributes:
        eigenvalues: descending, [k], or [2k] for both ends: the k largest, then the k smallest. In float64.
        eigenvectors: of length 1, one a row, in theta's dtype; their signs are arbitrary.
        residuals: |A y - lambda y| of each; some eigenvalue of A is that near.
        converged: whether each residual is at most `tol` |lambda|, or a rounding.
        which: "top", "bottom" or "both".
        tol: relative to each eigenvalue.
        products: of the matrix with a vector.
        asymmetry: the largest difference of two products v_i . A v_j and v_j . A v_i: the products' own error.
        status: "converged", "products" or "whole".
        message: the same in a sentence.
        matrix: "hessian" or "gauss-newton".
        method: how products were computed; see `sharpmin.products.curvature`.
        names: the weights that the vectors move, in order.
        seconds: time taken.
        seed: of the random start vectors.
        batch_norm: policy of f.
        batch_size: evaluation batch of f; None where the data came in batches of their own.
        precision: of f.

    """

    eigenvalues: Tensor
    eigenvectors: Tensor
    residuals: Tensor
    converged: Tensor
    which: Which
    tol: float
    products: int
    asymmetry: float
    status: str
    message: str
    seconds: float
    seed: int
    matrix: str
    method: str
    names: tuple[str, ...]
    batch_norm: str
    batch_size: int | None
    precision: str


def spectrum(
    f: Objective | Curvature,
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
) -> Spectrum:
    """Find the k largest eigenvalues, the k smallest, or both, with their vectors.

    Args:
        f: an objective, for its Hessian at the model's present weights; or a `Curvature`, for another point, the
            Gauss-Newton matrix, some layers, or several questions at one point.
        k: pairs at each end.
        which: "top" for the largest (the sharpest directions), "bottom" for the smallest (the most negative), "both".
        tol: for the residual of a pair, relative to its eigenvalue.
        max_products: to spend at most.
        max_basis: vectors [n] to hold at most; by default as many as fit into 2 GiB.
        block: start vectors; an eigenvalue of higher multiplicity may be found fewer times than it occurs.
        start: the first start vector, [n], such as an eigenvector found nearby; by default random. What is orthogonal
            to it is not found, so mix in some noise.
        seed: of the random start vectors.
        progress: told the products done.

    Returns:
        The pairs with their evidence, whether they converged or not.

    Raises:
        UsageError: no pairs or more than n, a tolerance below 0, too few products or too small a basis, a start of
            another length or that is 0 or not finite; whatever `Curvature` raises, a matrix that is not finite among
            it.

    Example:
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> found = spectrum(Objective(torch.nn.Linear(4, 3), toy.train), k=3)
        >>> bool((found.eigenvalues > 0).all()), found.status
        (True, 'converged')

    Source: Wu and Simon 2000 (thick-restart Lanczos).

    """
    matrix, began = curvature_of(f), time.perf_counter()
    pairs = eigenpairs(
        matrix,
        k=k,
        which=which,
        tol=tol,
        max_products=max_products,
        max_basis=max_basis,
        block=block,
        start=start,
        seed=seed,
        progress=progress,
    )
    return Spectrum(
        eigenvalues=pairs.values,
        eigenvectors=pairs.vectors,
        residuals=pairs.residuals,
        converged=pairs.converged,
        which=which,
        tol=tol,
        products=pairs.products,
        asymmetry=pairs.asymmetry,
        status=pairs.status,
        message=MESSAGES[pairs.status],
        seconds=time.perf_counter() - began,
        seed=seed,
        **matrix.evidence(),
    )
