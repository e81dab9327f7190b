"""Metric 2.1 as the paper takes it and as every table and figure here asks for it: one function with its options.

All of them are spelled out, because a row of a run folder counts where it was asked for by the same options.
"""

from functools import partial

from sharpmin.measures import Sharpness, sharpness

EPSILONS = (1e-3, 5e-4)
"""Those of the paper."""


def metric_2_1(*, epsilon: float = 1e-3, subspace: int | None = None) -> partial[Sharpness]:
    """Sharpness as a measure of a sweep: from the corner of the box, ten iterations.

    Args:
        epsilon: half-width of the box; the paper has 1e-3 and 5e-4.
        subspace: dimensions of a random one; None for the full space.

    Example:
        >>> from sharpmin.sweep.trial import named
        >>> name, options = named(metric_2_1(epsilon=5e-4))
        >>> name, options["epsilon"], options["iterations"]
        ('sharpness', 0.0005, 10)

    Source: Keskar et al. 2017, Metric 2.1 and section 2.2.2.

    """
    return partial(
        sharpness, epsilon=epsilon, subspace=subspace, start="corner", iterations=10, solver="sharpmin", seed=0
    )
