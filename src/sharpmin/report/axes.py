"""Where the ticks of an axis lie, and where a value lies on it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

STEPS = (1, 2, 5, 10)


@dataclass(frozen=True)
class Axis:
    """A stretch of numbers, on a linear or a logarithmic scale.

    Attributes:
        label: what it measures.
        low: its lower end.
        high: its upper end.
        log: whether the scale is logarithmic.
        named: ticks with a text of their own, instead of numbers.

    """

    label: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    named: tuple[tuple[float, str], ...] = ()

    def place(self, value: float | None) -> float | None:
        """Where the value lies, 0 at the lower end and 1 at the upper; None where it cannot be drawn."""
        if value is None or not math.isfinite(value) or (self.log and value <= 0):
            return None
        if self.log:
            low, high = math.log10(self.low), math.log10(self.high)
            return (math.log10(value) - low) / (high - low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Round values on the axis, with their texts."""
        if self.named:
            return list(self.named)
        return decades(self.low, self.high) if self.log else rounds(self.low, self.high)


def around(axis: Axis, values: Iterable[float | None], *, margin: float = 0.04) -> Axis:
    """The axis, stretched to hold what of the values can be drawn, with some air.

    Example:
        >>> around(Axis("alpha"), [-1.0, 2.0, None], margin=0)
        Axis(label='alpha', low=-1.0, high=2.0, log=False, named=())

    """
    drawn = [v for v in values if v is not None and math.isfinite(v) and (v > 0 or not axis.log)]
    if not drawn:
        return replace(axis, low=0.1 if axis.log else 0.0, high=1.0)
    low, high = min(drawn), max(drawn)
    if axis.log:
        factor = (high / low) ** margin if high > low else 2.0
        return replace(axis, low=low / factor, high=high * factor)
    air = (high - low) * margin if high > low else abs(high) * 0.1 or 1.0
    return replace(axis, low=low - air, high=high + air)


def rounds(low: float, high: float, *, most: int = 7) -> list[tuple[float, str]]:
    """Ticks at multiples of 1, 2 or 5 times a power of ten.

    Example:
        >>> [text for _, text in rounds(-1, 2)]
        ['−1.0', '−0.5', '0.0', '0.5', '1.0', '1.5', '2.0']

    """
    unit = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(unit * s for s in STEPS if (high - low) / (unit * s) <= most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(count * step, signed(count * step, step)) for count in range(first, last + 1)]


def decades(low: float, high: float) -> list[tuple[float, str]]:
    """Ticks at powers of ten, fewer where there are many, and at 2 and 5 times them where there are few.

    Example:
        >>> [text for _, text in decades(0.5, 3000)]
        ['1', '10', '100', '1000']

    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    many = math.log10(high / low)
    inside = STEPS[:3] if many < 2 else STEPS[:1]
    every = max(1, math.ceil(many / 6))
    candidates = (s * 10.0**power for power in range(first, last + 1) if power % every == 0 for s in inside)
    found = [(value, brief(value)) for value in candidates if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
    return found if len(found) > 1 else [(low, brief(low)), (high, brief(high))]


def signed(value: float, step: float) -> str:
    """A tick of a linear scale, with a real minus."""
    if max(abs(value), step) >= 1e5 or step < 1e-4:
        return brief(value)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value + 0.0:.{decimals}f}".replace("-", "−")


def brief(value: float) -> str:
    """A number as a tick has it.

    Example:
        >>> [brief(value) for value in (0.001, 1e-05, 50, 2e6)]
        ['0.001', '1e−5', '50', '2e6']

    """
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}".replace("-", "−") if abs(value) < 1000 else f"{value:.0f}".replace("-", "−")
    mantissa, _, power = f"{value:.1e}".partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(power)}".replace("-", "−")
