"""L-BFGS-B on torch tensors: minimise a smooth function of many variables inside a box.

The algorithm of Byrd, Lu, Nocedal and Zhu (1995), in the variant of version 3.0 of the authors' code, which SciPy
runs (Morales and Nocedal 2011), on tensors of any device and floating dtype. One iteration:

    1. t, d           breakpoints and direction of the projected gradient path        (4.1), (4.2)
    2. x^c            the generalised Cauchy point, found exactly                     section 4, `cauchy`
    3. z              the minimiser over the variables free at x^c, projected         section 5.1, `subspace`
    4. x + a (z - x)  with a satisfying the strong Wolfe conditions, in the box       section 6, `wolfe`
    5. s, y           a new pair for B = theta I - W M W^T, if s^T y > eps |g^T s|    section 3, `compact`

Legend: x, g the iterate and its gradient; x', g' the next; l, u the bounds; n the number of variables; m how many
pairs B remembers; P the projection onto the box. Two passes over the 2m stored vectors make an iteration, one for
two inner products with each (`MovingSet.set_out`) and one for the step (`Aim.project`); `moving` says why two suffice.

Memory, in vectors of length n of x's dtype: 2m for the pairs; x, g, x', g' and z, where the breakpoints are kept
too; a mask of a byte per variable; a second trial point and the best point passed by with its gradient, should the
line search need them (3); and while breakpoints are sorted, the indices and values of at most n / 8 of them (2). That
is at most 2m + 11. Bounds are the caller's, and a scalar bound stays a scalar. On top comes scratch of a fixed size:
some thirty mebibytes.

References:
    R. H. Byrd, P. Lu, J. Nocedal, C. Zhu, A limited memory algorithm for bound constrained optimization, SIAM J.
    Sci. Comput. 16 (1995) 1190-1208.
    J. L. Morales, J. Nocedal, Remark on "Algorithm 778", ACM TOMS 38 (2011) 7:1-7:4.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from sharpmin.errors import UsageError
from sharpmin.optim.box import Bound, Box
from sharpmin.optim.descent import Descent
from sharpmin.optim.outcome import MESSAGES, Function, Iterate, Limits, Result, Status

__all__ = ["MESSAGES", "Bound", "Function", "Iterate", "Result", "Status", "minimize"]


def minimize(
    fun: Function,
    x0: Tensor,
    bounds: tuple[Bound, Bound] = (None, None),
    *,
    max_iter: int = 15_000,
    memory: int = 10,
    ftol: float = 0.0,
    gtol: float = 0.0,
    max_evaluations: int | None = None,
    max_line_search: int = 20,
    callback: Callable[[Iterate], object] | None = None,
) -> Result:
    """Minimise fun(x) subject to l <= x <= u.

    Args:
        fun: x (n) -> (value, gradient (n)), called with autograd on. `x` is lent: read it, do not keep or change it.
        x0: the start, one-dimensional, of any floating dtype, on any device; projected into the box.
        bounds: (lower, upper), each a number, a tensor like x0, or None for no bound; entries may be infinite.
        max_iter: most iterations; 0 only evaluates x0.
        memory: m.
        ftol: stop when an iteration lowers the value by at most ftol * max(|f|, |f'|, 1); at 0, when it does not
            lower it at all. One that does not is tried again without the pairs first, which may mislead.
        gtol: stop when max_i |P(x - g) - x|_i <= gtol.
        max_evaluations: never call fun more often than this.
        max_line_search: most evaluations in one line search.
        callback: called with an `Iterate` after each iteration; a true return value stops.

    Returns:
        The best point seen, why the search ended, and what it took. Reaching a limit, a failed line search and a
        value that is not finite are answers, not exceptions.

    Raises:
        UsageError: for arguments that make no sense, or a gradient of the wrong shape.

    Example:
        >>> import torch
        >>> from sharpmin.optim import lbfgsb
        >>> centre = torch.tensor([3.0, -0.5], dtype=torch.float64)
        >>> fun = lambda x: (((x - centre) ** 2).sum(), 2 * (x - centre))
        >>> result = lbfgsb.minimize(fun, torch.zeros(2, dtype=torch.float64), (-1.0, 1.0))
        >>> result.x.tolist(), result.fun, str(result.status)
        ([1.0, -0.5], 4.0, 'converged_gradient')
    """
    limits = Limits(max_iter, ftol, gtol, max_evaluations, max_line_search, callback)
    _check(x0, memory, limits)
    with torch.no_grad():
        x = x0.detach().clone(memory_format=torch.contiguous_format)
        box = Box.of(x, *bounds)
        return Descent(fun, box.project_(x), box, memory, limits).run()


def _check(x0: Tensor, memory: int, limits: Limits) -> None:
    """Raise UsageError for a start or an option that cannot be used."""
    if not isinstance(x0, Tensor) or x0.ndim != 1 or not x0.is_floating_point() or not len(x0):
        raise UsageError("x0 must be a non-empty one-dimensional tensor of a floating-point dtype.")
    if not bool(x0.isfinite().all()):
        raise UsageError("x0 holds NaN or infinite entries; start from a finite point.")
    if memory < 1 or limits.max_line_search < 1 or limits.max_iter < 0:
        raise UsageError("memory and max_line_search must be at least 1, max_iter at least 0.")
    if limits.max_evaluations is not None and limits.max_evaluations < 1:
        raise UsageError("max_evaluations must be at least 1: the start has to be evaluated.")
    if not (limits.ftol >= 0 and limits.gtol >= 0):
        raise UsageError("ftol and gtol must be 0 or more.")
