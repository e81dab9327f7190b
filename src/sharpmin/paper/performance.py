"""When a large batch pays: the performance model of Keskar et al. 2017, appendix C.

A training takes I iterations of B examples on P processors, of which it keeps the share f busy. The large-batch method
is taken to scale perfectly (f = 1, with P below the large batch). It is the faster one when

    I_LB B_LB / P  <  I_SB B_SB / (P f),    that is    I_LB / I_SB  <  B_SB / (f B_LB).

P cancels: it matters only through the efficiency f that the small-batch method keeps on so many processors.
"""

from sharpmin.errors import UsageError


def iterations_limit(*, small_batch: int, large_batch: int, efficiency: float) -> float:
    """The ratio of iterations I_LB / I_SB below which the large batch is faster.

    Args:
        small_batch: B_SB, in examples.
        large_batch: B_LB, in examples.
        efficiency: f, the parallel efficiency of the small-batch method, in (0, 1].

    Raises:
        UsageError: a batch below 1, batches the wrong way round, an efficiency that is none.

    Example:
        >>> iterations_limit(small_batch=256, large_batch=2560, efficiency=0.2)  # the paper's own example
        0.5

    Source: Keskar et al. 2017, appendix C.

    """
    if not 1 <= small_batch <= large_batch:
        raise UsageError(f"batches of {small_batch} and {large_batch}: give 1 <= small batch <= large batch")
    if not 0 < efficiency <= 1:
        raise UsageError(f"efficiency {efficiency}: a share of the processors kept busy lies above 0 and is at most 1")
    return small_batch / (efficiency * large_batch)


def speedup(
    *, small_batch: int, large_batch: int, efficiency: float, small_iterations: float, large_iterations: float
) -> float:
    """How many times as fast the large-batch training is: I_SB B_SB / (f I_LB B_LB).

    Args:
        small_batch: B_SB, in examples.
        large_batch: B_LB, in examples.
        efficiency: f, in (0, 1].
        small_iterations: I_SB, to comparable test accuracy.
        large_iterations: I_LB, likewise.

    Raises:
        UsageError: as `iterations_limit`; no iterations.

    Example:
        >>> speedup(small_batch=256, large_batch=2560, efficiency=0.2, small_iterations=4000, large_iterations=1000)
        2.0

    Source: Keskar et al. 2017, appendix C.

    """
    if not (small_iterations > 0 and large_iterations > 0):
        raise UsageError(f"{small_iterations:g} and {large_iterations:g} iterations: both must be above 0")
    limit = iterations_limit(small_batch=small_batch, large_batch=large_batch, efficiency=efficiency)
    return limit * small_iterations / large_iterations
