"""A step that satisfies the strong Wolfe conditions: the line search of Moré and Thuente (1994).

For phi(a) = f(x + a d) the step a is accepted when

    phi(a) <= phi(0) + ftol a phi'(0)      (sufficient decrease)
    |phi'(a)| <= gtol |phi'(0)|            (curvature)

or when it is the longest step that stays in the box and still goes down, or when the interval that holds a
minimiser is too short to be worth another evaluation. Safeguarded cubic and quadratic interpolation picks the
next trial. The constants are those of L-BFGS-B 3.0.

References: J. J. Moré and D. J. Thuente, Line search algorithms with guaranteed sufficient decrease,
ACM TOMS 20 (1994) 286-307; the numbers of cases and sections below are theirs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

FTOL = 1e-3
GTOL = 0.9
XTOL = 0.1
"""Relative length of the bracketing interval below which its best end is taken."""


@dataclass(frozen=True)
class Trial:
    """phi at one step: (a, phi(a), phi'(a))."""

    step: float
    value: float
    slope: float

    def minus_line(self, slope: float) -> "Trial":
        """Return this trial of phi(a) - slope * a (the auxiliary function psi of section 2, up to phi(0))."""
        return Trial(self.step, self.value - slope * self.step, self.slope - slope)


class LineSearch:
    """One search along one direction: read `step`, evaluate there, hand the outcome to `accepts`, repeat.

    Args:
        value: phi(0).
        slope: phi'(0), negative.
        step: the first trial.
        longest: called at most once, when it matters: the longest step that stays in the box.
    """

    def __init__(self, value: float, slope: float, step: float, longest: Callable[[], float]) -> None:
        self.step = step
        self._start = self._best = self._other = Trial(0.0, value, slope)
        self._longest_step = longest
        self._first = step
        self._bracketed = False
        self._modified = True
        self._low, self._high = 0.0, 5.0 * step
        self._widths: tuple[float, float] | None = None

    def accepts(self, value: float, slope: float) -> bool:
        """Judge phi and phi' at `step`: True ends the search there, False sets `step` to the next trial."""
        trial = Trial(self.step, value, slope)
        if self._satisfied(trial) or self._stuck(trial):
            return True
        self._advance(trial)
        return False

    @cached_property
    def _longest(self) -> float:
        return max(self._longest_step(), self._first)

    def _decrease(self, trial: Trial) -> bool:
        return trial.value <= self._start.value + FTOL * trial.step * self._start.slope

    def _satisfied(self, trial: Trial) -> bool:
        return self._decrease(trial) and abs(trial.slope) <= -GTOL * self._start.slope

    def _stuck(self, trial: Trial) -> bool:
        """Whether rounding, a short interval or the box leaves nothing better to try."""
        still_down = self._decrease(trial) and trial.slope <= FTOL * self._start.slope
        if trial.step == self._longest and still_down:
            return True
        return self._bracketed and (not self._low < trial.step < self._high or self._short)

    @property
    def _short(self) -> bool:
        return self._high - self._low <= XTOL * self._high

    def _advance(self, trial: Trial) -> None:
        """Shrink the interval around the trial (algorithm of section 3) and choose the next step."""
        if self._modified and self._decrease(trial) and trial.slope >= 0:
            self._modified = False
        line = FTOL * self._start.slope
        lower_but_not_enough = trial.value <= self._best.value and not self._decrease(trial)
        tilt = line if self._modified and lower_but_not_enough else 0.0
        best, other, new = (end.minus_line(tilt) for end in (self._best, self._other, trial))
        best, other, self._bracketed, step = next_interval(
            best, other, new, bracketed=self._bracketed, low=self._low, high=self._high
        )
        self._best, self._other = best.minus_line(-tilt), other.minus_line(-tilt)
        self._set_step(step)

    def _set_step(self, step: float) -> None:
        """Keep the step inside the interval and the box; fall back to the best step when no room is left."""
        a, b = self._best.step, self._other.step
        if self._bracketed:
            older, last = self._widths or (2.0 * self._longest, self._longest)
            if abs(b - a) >= 0.66 * older:
                step = a + 0.5 * (b - a)
            self._widths = last, abs(b - a)
            self._low, self._high = min(a, b), max(a, b)
        else:
            self._low, self._high = step + 1.1 * (step - a), step + 4.0 * (step - a)
        step = min(max(step, 0.0), self._longest)
        exhausted = self._bracketed and (not self._low < step < self._high or self._short)
        self.step = a if exhausted else step


def next_interval(
    best: Trial, other: Trial, new: Trial, *, bracketed: bool, low: float, high: float
) -> tuple[Trial, Trial, bool, float]:
    """Return the updated (best, other, bracketed) and the next step (section 4: cases 1 to 4)."""
    opposite = new.slope * math.copysign(1.0, best.slope) < 0
    if new.value > best.value:
        return best, new, True, _case_1(best, new)
    if opposite:
        return new, best, True, _case_2(best, new)
    if abs(new.slope) < abs(best.slope):
        return new, other, bracketed, _case_3(best, other, new, bracketed, (low, high))
    return new, other, bracketed, _case_4(best, other, new, bracketed, (low, high))


def _case_1(best: Trial, new: Trial) -> float:
    """A higher value: the cubic step if it is nearer the best, else halfway to the quadratic one."""
    span = new.step - best.step
    cubic = best.step + _cubic(best, new)[0] * span
    fall = _over(best.value - new.value, span) + best.slope
    quadratic = best.step + _over(best.slope, fall) / 2.0 * span
    return cubic if abs(cubic - best.step) < abs(quadratic - best.step) else cubic + (quadratic - cubic) / 2.0


def _case_2(best: Trial, new: Trial) -> float:
    """Lower, with slopes of opposite sign: the cubic or the secant step, whichever is farther from the new."""
    cubic = new.step + _cubic(new, best)[0] * (best.step - new.step)
    secant = _secant(best, new)
    return cubic if abs(cubic - new.step) > abs(secant - new.step) else secant


def _case_3(best: Trial, other: Trial, new: Trial, bracketed: bool, ends: tuple[float, float]) -> float:
    """Lower, same sign, flatter: extrapolate by a cubic that turns upward, else by the secant."""
    ratio, root = _cubic(new, best)
    forward = new.step > best.step
    cubic = new.step + ratio * (best.step - new.step) if ratio < 0 and root else ends[forward]
    secant = _secant(best, new)
    cubic_is_nearer = abs(cubic - new.step) < abs(secant - new.step)
    if not bracketed:
        return max(ends[0], min(ends[1], secant if cubic_is_nearer else cubic))
    step = cubic if cubic_is_nearer else secant
    wall = new.step + 0.66 * (other.step - new.step)
    return min(wall, step) if forward else max(wall, step)


def _case_4(best: Trial, other: Trial, new: Trial, bracketed: bool, ends: tuple[float, float]) -> float:
    """Lower, same sign, no flatter: the cubic towards the other end, or as far as allowed without one."""
    if bracketed:
        return new.step + _cubic(new, other)[0] * (other.step - new.step)
    return ends[new.step > best.step]


def _cubic(a: Trial, b: Trial) -> tuple[float, float]:
    """Return where the cubic through a and b has its minimiser, as a fraction of the way from a to b.

    The second number is the square root in its formula; 0 says that the cubic has no minimiser to speak of.
    """
    theta = 3.0 * _over(a.value - b.value, b.step - a.step) + a.slope + b.slope
    scale = max(abs(theta), abs(a.slope), abs(b.slope)) or 1.0
    inside = (theta / scale) * (theta / scale) - (a.slope / scale) * (b.slope / scale)
    root = math.copysign(scale * math.sqrt(max(0.0, inside)), b.step - a.step)
    return _over(root - a.slope + theta, root - a.slope + root + b.slope), root


def _secant(best: Trial, new: Trial) -> float:
    return new.step + _over(new.slope, new.slope - best.slope) * (best.step - new.step)


def _over(a: float, b: float) -> float:
    """Return a / b, and 0 where b is 0: a degenerate interpolation stays where it is."""
    return a / b if b else 0.0
