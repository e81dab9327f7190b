"""From the gradients of m batches: unbiased estimates of tr(Sigma) and |G|^2, and their standard errors.

G is the mean of the gradients of single examples, Sigma their covariance. From batches of b_j examples, n in all, with
the mean gradients g_j, and g = sum_j b_j g_j / n:

    S = sum_j b_j |g_j - g|^2 / (m - 1),    |G|^2 = |g|^2 - S (1/n - 1/N)

are unbiased for tr(Sigma) and |G|^2, whatever the sizes b_j: S is the mean square between groups of a one-way analysis
of variance. With batches of one size they are the two estimates of McCandlish et al. 2018, appendix A.1, with
B_small = b and B_big = n, averaged over the batches; with batches of one example S is the sample variance.

N infinite    the examples are independent draws from a population, and G and Sigma are the population's.
N finite      the examples are drawn without replacement from N, G is the mean over these, and Sigma their covariance
              with the divisor N - 1 (Cochran 1977, chapter 2). At n = N, G is known exactly.

Standard errors are those of a jackknife that leaves out one batch at a time (Efron and Stein 1981: on average they
are, if anything, too large). For a finite N deviations are shrunk: those of |G|^2 by sqrt(1 - n/N), those of S by
sqrt(1 - (m - 1)/(N - 1)), since even at n = N it is left to chance which examples share a batch.
"""

import math
from typing import NamedTuple

from torch import Tensor


class Spread(NamedTuple):
    """How the gradients of m batches lie around their mean g; d_j = b_j (g_j - g).

    All in float64: `sizes` b_j [m], `squares` |d_j|^2 [m], `along` g . d_j [m], and `norm_squared` |g|^2.
    """

    sizes: Tensor
    squares: Tensor
    along: Tensor
    norm_squared: float


class Estimate(NamedTuple):
    """A number and its standard error."""

    value: float
    error: float


class Estimates(NamedTuple):
    """Of tr(Sigma), of |G|^2, and of their ratio, with what the ratio hardly lies below."""

    trace: Estimate
    norm_squared: Estimate
    ratio: Estimate
    lower_bound: float

    @property
    def status(self) -> str:
        """How far to trust the ratio."""
        if not (math.isfinite(self.trace.value) and math.isfinite(self.norm_squared.value)):
            return "non_finite"
        if math.isnan(self.ratio.value):
            return "no_gradient"
        if self.norm_squared.value <= 0:
            return "pure_noise"
        clear = self.norm_squared.value > 2 * self.norm_squared.error and math.isfinite(self.ratio.error)
        return "measured" if clear else "uncertain"


UNKNOWN = Estimate(math.nan, math.nan)
NOTHING = Estimates(UNKNOWN, UNKNOWN, UNKNOWN, math.nan)


def estimate(spread: Spread, *, population: float = math.inf) -> Estimates:
    """Estimate tr(Sigma), |G|^2 and their ratio, with jackknife errors.

    Args:
        spread: of at least 3 batches.
        population: N; infinite where f is not the mean over a finite set.

    Returns:
        The estimates.

    Example:
        >>> import torch
        >>> b = torch.full((3,), 2.0, dtype=torch.float64)
        >>> estimate(Spread(b, squares=b**2, along=0 * b, norm_squared=9.5))[:2]  # |g_j - g| = 1
        (Estimate(value=3.0, error=0.0), Estimate(value=9.0, error=0.0))

    """
    sizes, squares, along, norm_squared = spread
    n, m, between = sizes.sum(), len(sizes), (squares / sizes).sum()
    trace = between / (m - 1)
    norm = norm_squared - trace * (1 / n - 1 / population)
    left = n - sizes  # the examples left without batch j, and what S and |G|^2 are without it
    traces = (between - squares / sizes - squares / left) / (m - 2)
    norms = norm_squared - 2 * along / left + (squares / left) / left - traces * (1 / left - 1 / population)
    traces = trace + (traces - trace) * math.sqrt(max(0.0, 1 - (m - 1) / (population - 1)))
    norms = norm + (norms - norm) * math.sqrt(max(0.0, 1 - n.item() / population))
    return Estimates(
        Estimate(trace.item(), jackknife(traces)),
        Estimate(norm.item(), jackknife(norms)),
        Estimate(ratio(trace.item(), norm.item()), ratio_error(traces, norms, norm.item())),
        lower_bound(traces, norms, trace.item(), norm.item()),
    )


def ratio(above: float, below: float) -> float:
    """The quotient above / below for above >= 0; infinite where below is not above 0, NaN for 0 / 0."""
    if below <= 0:
        return math.nan if above == 0 else math.inf
    return above / below


def ratio_error(traces: Tensor, norms: Tensor, norm: float) -> float:
    """The jackknife error of the ratio; infinite where its denominator may vanish, NaN where it has."""
    if not norm > 0:
        return math.nan
    return jackknife(traces / norms) if bool((norms > 0).all()) else math.inf


def lower_bound(traces: Tensor, norms: Tensor, trace: float, norm: float) -> float:
    """The ratio's inverse, two of its standard errors up, inverted: as a rule finite in pure noise too."""
    if not bool((traces > 0).all()):
        return ratio(0.0, norm)
    return ratio(1.0, norm / trace + 2 * jackknife(norms / traces))


def jackknife(values: Tensor) -> float:
    """The standard error, from what an estimate is when each of the m batches in turn is left out, [m]."""
    return math.sqrt((len(values) - 1) * values.var(correction=0).item())
