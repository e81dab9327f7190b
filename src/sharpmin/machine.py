"""Who else uses the processors of this machine: without it no time measured here can be judged."""

import os
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Usage:
    """Processor time over an interval.

    Attributes:
        seconds: its length.
        own: processors that this process, and those children that have ended, kept busy on average.
        others: processors that everybody else kept busy; None where the system does not say.

    """

    seconds: float
    own: float
    others: float | None


class Watch:
    """Measures `Usage` from its creation on.

    Example:
        >>> watch = Watch()
        >>> watch.usage().own >= 0
        True

    """

    def __init__(self) -> None:
        self.began, self.own, self.all = time.monotonic(), own_seconds(), busy_seconds()

    def usage(self) -> Usage:
        """What was used since."""
        seconds = max(time.monotonic() - self.began, 1e-9)
        own, busy = own_seconds() - self.own, busy_seconds()
        others = None if busy is None or self.all is None else max(0.0, busy - self.all - own) / seconds
        return Usage(seconds, own / seconds, others)


def own_seconds() -> float:
    """Processor time of this process and of its children that have ended."""
    used = os.times()  # in hundredths of a second, as the children's can be had everywhere
    return time.process_time() + used.children_user + used.children_system


def busy_seconds() -> float | None:
    """Processor time that everybody on this machine has used, or that its host has taken; None where not Linux."""
    try:
        with open("/proc/stat", encoding="utf-8") as lines:
            user, nice, system, _, _, irq, softirq, steal, *_ = map(int, next(lines).split()[1:])
    except (OSError, ValueError):
        return None
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def others_in_words(usage: Usage, *, processors: int) -> str:
    """A sentence on the others, empty where they hardly matter.

    Example:
        >>> others_in_words(Usage(10.0, own=0.7, others=1.3), processors=2)
        'other processes used 1.3 of 2 processors meanwhile: the times are longer than on a quiet machine'
        >>> others_in_words(Usage(10.0, own=1.9, others=0.01), processors=2)
        ''

    """
    if usage.others is None or usage.others < 0.1:
        return ""
    return (
        f"other processes used {usage.others:.1f} of {processors} processors meanwhile: "
        "the times are longer than on a quiet machine"
    )
