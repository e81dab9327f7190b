"""Mean and standard deviation over trials, and how they are written."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import stdev


@dataclass(frozen=True)
class Spread:
    """Values of one quantity, one from each trial that has it. A NaN among them makes the mean NaN."""

    values: tuple[float, ...]

    @property
    def n(self) -> int:
        """How many."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Over the trials; NaN of none."""
        return math.fsum(self.values) / self.n if self.values and all(map(math.isfinite, self.values)) else self.odd()

    def odd(self) -> float:
        """The mean where not all is finite, or there is nothing."""
        return sum(self.values) / self.n if self.values else math.nan

    @property
    def deviation(self) -> float | None:
        """The sample standard deviation, with n - 1; None of a single value, NaN where not all is finite."""
        if self.n < 2:
            return None
        return stdev(self.values) if all(map(math.isfinite, self.values)) else math.nan

    @property
    def error(self) -> float | None:
        """The standard error of the mean."""
        return None if self.deviation is None else self.deviation / math.sqrt(self.n)

    def __str__(self) -> str:
        """Write the mean, and the deviation with two digits.

        Example:
            >>> str(Spread((362.0, 310.0, 408.0))), str(Spread((0.25,))), str(Spread((4.06, 4.07)))
            ('360 ± 49', '0.25', '4.0650 ± 0.0071')

        """
        if self.deviation is None or not math.isfinite(self.deviation):
            return number(self.mean, digits=3)
        return plus_minus(self.mean, self.deviation)

    def fixed(self, *, times: float = 1.0) -> str:
        """Write both to two decimals, in another unit where asked; what is not finite has no deviation.

        Example:
            >>> Spread((1.0, 2.0)).fixed(), Spread((7.0,)).fixed(times=100), Spread((77.26, math.nan)).fixed()
            ('1.50 ± 0.71', '700.00', 'nan')

        """
        mean = f"{times * self.mean:.2f}"
        if self.deviation is None or not math.isfinite(self.deviation):
            return mean
        return f"{mean} ± {times * self.deviation:.2f}"


def percent(fraction: float | None) -> float:
    """In percent; NaN where there is none."""
    return math.nan if fraction is None else 100 * fraction


def spread(values: Iterable[float | None]) -> Spread:
    """The spread of those values that there are."""
    return Spread(tuple(value for value in values if value is not None))


def plus_minus(value: float, error: float) -> str:
    """Write a value to the last digit of its error, the error with two.

    Example:
        >>> plus_minus(364.04, 48.5), plus_minus(4.06, 2.62), plus_minus(1.2e-6, 3e-8), plus_minus(3.0, 0.0)
        ('364 ± 48', '4.1 ± 2.6', '1.200e-06 ± 3.0e-08', '3 ± 0')

    """
    if not (math.isfinite(error) and math.isfinite(value)) or error == 0:
        return f"{number(value)} ± {number(error)}"
    largest = max(abs(value), error)
    if 1e-3 <= largest < 1e6:
        decimals = max(0, 1 - math.floor(math.log10(error)))
        if decimals <= 6:
            return f"{value:.{decimals}f} ± {error:.{decimals}f}"
    digits = max(0, math.floor(math.log10(largest)) - math.floor(math.log10(error)) + 1)
    return f"{value:.{min(digits, 6)}e} ± {error:.1e}"


def number(value: float | None, *, digits: int = 4) -> str:
    """Write a number with four digits, or as many as asked for; nothing for None.

    Example:
        >>> [number(value) for value in (0.123456, 60000, 1234567.0, 3e-7, float("nan"), None)]
        ['0.1235', '60000', '1.235e+06', '3e-07', 'NaN', '']

    """
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    return f"{value:.{digits}g}"
