"""Progress for a person at a terminal, and for a log file.

At a terminal: one bar a task with its rate and ETA. Elsewhere (a pipe, a log, CI): a line when a task begins to
take time, then one every half minute and one at its end. Results go to stdout, progress to stderr.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from sharpmin import progress as reporting

LINE_EVERY = 30.0  # seconds


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[reporting.Progress]:
    """Give the progress callable for this process's stderr."""
    if quiet:
        yield reporting.silent
    elif sys.stderr.isatty():
        with bars(Console(stderr=True)) as shown:
            yield Bars(shown)
    else:
        yield Lines()


def bars(console: Console) -> Progress:
    """The bar's columns: task, bar, share, amount, elapsed, remaining, note; the bar goes first, the times never."""
    room = min(28, console.width - 92)
    return Progress(
        Shortened("{task.description}"),
        *([BarColumn(bar_width=room)] if room > 3 else []),
        TextColumn("{task.percentage:>3.0f}%"),
        Shortened("{task.fields[amount]}"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        Shortened("[dim]{task.fields[note]}"),
        console=console,
    )


class Shortened(TextColumn):
    """Text that is shortened where the terminal is too narrow, the longest first."""

    def __init__(self, text: str) -> None:
        super().__init__(text, table_column=Column())  # rich shrinks only columns that may be wrapped

    def render(self, task: Task) -> Text:
        """Give a text that stays on its line."""
        text = super().render(task)
        text.no_wrap, text.overflow = True, "ellipsis"
        return text


class Bars:
    """Progress as rich bars."""

    def __init__(self, shown: Progress) -> None:
        self.shown = shown
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, task: str, done: int, total: int | None, *, unit: str = "", note: str = "") -> None:
        """Draw."""
        if task not in self.tasks:
            self.tasks[task] = self.shown.add_task(task, total=total, amount="", note="")
        amount = counted(done, total, unit)
        self.shown.update(self.tasks[task], completed=done, total=total, amount=amount, note=note)


class Lines:
    """Progress as an occasional line."""

    def __init__(self) -> None:
        self.began: dict[str, tuple[float, int]] = {}
        self.last: dict[str, float] = {}

    def __call__(self, task: str, done: int, total: int | None, *, unit: str = "", note: str = "") -> None:
        """Print a line where half a minute has passed or the task is done."""
        now = time.monotonic()
        began, at = self.began.setdefault(task, (now, done))
        finished = total is not None and done >= total
        if not finished and now - self.last.setdefault(task, now) < LINE_EVERY:
            return
        self.last[task] = now
        left = (now - began) * (total - done) / (done - at) if total and done > at else None
        tail = f"took {clock(now - began)}" if finished else f"ETA {clock(left)}" if left is not None else ""
        print(
            "  ".join(part for part in (task, counted(done, total, unit), tail, note) if part),
            file=sys.stderr,
            flush=True,
        )


def counted(done: int, total: int | None, unit: str) -> str:
    """Say "12.3/54.0 MB" or "7/25 points"."""
    if unit == "B":
        return f"{done / 1e6:.1f}/{total / 1e6:.1f} MB" if total else f"{done / 1e6:.1f} MB"
    return f"{done}/{total} {unit}" if total else f"{done} {unit}"


def clock(seconds: float) -> str:
    """Say 75 seconds as 1:15."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
