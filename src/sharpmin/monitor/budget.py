"""The time that measuring may take: a share of the time since it began.

The next measuring is expected to cost as much as the last one, c. With s seconds spent on measuring so far and t
seconds gone by, it may take place when

    s + c <= share (t + c),

that is, when the share would be kept at its end. The first one is always allowed: nobody knows its cost.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Budget:
    """Seconds spent on measuring, and whether there are more.

    Args:
        share: of the time since it began; 1 for no limit.
        clock: gives seconds, as `time.perf_counter` does.
        elapsed: seconds gone by before, where an earlier process began.
        spent: seconds spent before, likewise.
        last: seconds that the last measuring took, likewise.

    Example:
        >>> now = 0.0
        >>> budget = Budget(0.5, lambda: now)
        >>> with budget.spending():
        ...     now += 2
        >>> budget.allows(), budget.spent
        (False, 2.0)
        >>> now += 4
        >>> budget.allows()
        True

    """

    def __init__(
        self,
        share: float,
        clock: Callable[[], float],
        *,
        elapsed: float = 0.0,
        spent: float = 0.0,
        last: float = 0.0,
    ) -> None:
        self.share, self.clock = share, clock
        self.spent, self.last = spent, last
        self._began = clock() - elapsed

    @property
    def elapsed(self) -> float:
        """Seconds since measuring began."""
        return self.clock() - self._began

    def allows(self) -> bool:
        """Whether the share would be kept if one as dear as the last were taken now."""
        return self.spent + self.last <= self.share * (self.elapsed + self.last)

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Count the time inside as spent."""
        began = self.clock()
        try:
            yield
        finally:
            self.last = self.clock() - began
            self.spent += self.last
