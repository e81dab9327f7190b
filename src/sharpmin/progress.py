"""How long work tells the outside how far it is.

The library never prints. A function that may take more than a second takes `progress`, a callable of this
shape, and calls it now and then; the command line hands in one that draws bars with an ETA
(`sharpmin.console`), a notebook may hand in its own, and the default does nothing.
"""

from typing import Protocol


class Progress(Protocol):
    """Called with the task's name and how much of it is done; `unit` is "B" for bytes, else a plural noun."""

    def __call__(self, task: str, done: int, total: int | None, *, unit: str = "", note: str = "") -> None:
        """Report `done` of `total` (None where the total is unknown); `note` is a short live remark."""


def silent(task: str, done: int, total: int | None, *, unit: str = "", note: str = "") -> None:
    """Report nothing."""
