"""Hand the runs of a sweep to an engine, one lost with its worker again, and collect those that fail.

An engine is an `Executor`: `submit(work, order)` gives a future of the outcome. The driver keeps nothing of its own on
disk: what is done is what lies in the run folders.
"""

import os
import pickle
import sys
import uuid
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path

from sharpmin.disk import write
from sharpmin.progress import Progress, silent
from sharpmin.sweep.plan import Planned
from sharpmin.sweep.work import TOKEN, Order, Outcome, one_line, work

TRIES = 3
LOOK_EVERY = 5.0  # seconds


@dataclass(frozen=True)
class Failure:
    """A run that failed: its folder, the error in one line, and where it was raised."""

    folder: Path
    error: str
    traceback: str = ""


def carry_out(
    planned: Sequence[Planned],
    engine: Executor,
    *,
    runs: Path,
    device: str = "cpu",
    threads: int = 1,
    at_once: int | None = None,
    progress: Progress = silent,
) -> list[Failure]:
    """Carry out the runs that are not complete, and shut the engine down.

    Args:
        planned: all runs, as `plan` gives them.
        engine: where to compute.
        runs: the folder of runs.
        device: of each worker.
        threads: of each worker.
        at_once: runs handed out together; all by default.
        progress: told how many runs are done.

    Returns:
        The runs that failed, each with its error. A run whose worker was lost is handed out again, three times in all.

    Raises:
        RunError: the folder of runs cannot be written.

    """
    waiting = deque(run for run in planned if run.state != "complete")
    running: dict[Future[Outcome], Planned] = {}
    failures: list[Failure] = []
    lost: Counter[Path] = Counter()
    token = token_of(runs)
    try:
        while waiting or running:
            while waiting and (at_once is None or len(running) < at_once):
                run = waiting.popleft()
                running[engine.submit(work, order(run, runs, token, device=device, threads=threads))] = run
            report(progress, planned, waiting, running, failures, lost)
            for future in wait(running, timeout=LOOK_EVERY, return_when=FIRST_COMPLETED).done:
                run = running.pop(future)
                if (error := future.exception()) is None:
                    failures += collect(run, future.result(), runs)
                    continue
                lost[run.folder] += 1
                if lost[run.folder] < TRIES:
                    waiting.append(run)
                else:
                    failures.append(Failure(run.folder, f"its worker was lost {TRIES} times, last: {one_line(error)}"))
    finally:
        engine.shutdown(cancel_futures=True)
    report(progress, planned, waiting, running, failures, lost)
    return failures


def token_of(runs: Path) -> str:
    """What lies in the folder of runs for workers to find, written there where it is not."""
    file = runs / TOKEN
    if not file.exists():
        write(file, uuid.uuid4().hex.encode())
    return file.read_text(encoding="utf-8")


def order(run: Planned, runs: Path, token: str, *, device: str, threads: int) -> Order:
    """A run as it travels."""
    path = tuple(os.path.abspath(place) for place in sys.path)
    return Order(pickle.dumps(run.trial), path, str(runs.resolve()), token, device, threads)


def collect(run: Planned, outcome: Outcome, runs: Path) -> list[Failure]:
    """Write the files that came back; give the failure, if it is one."""
    for name, content in outcome.files.items():
        write(runs / name, content)
    return [] if outcome.error is None else [Failure(run.folder, outcome.error, outcome.traceback)]


def report(
    progress: Progress,
    planned: Sequence[Planned],
    waiting: Sequence[Planned],
    running: dict[Future[Outcome], Planned],
    failures: Sequence[Failure],
    lost: Counter[Path],
) -> None:
    """Say how many runs are done, running, failed, and handed out again."""
    done = len(planned) - len(waiting) - len(running)
    counts = {"running": len(running), "failed": len(failures), "workers lost": lost.total()}
    note = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    progress("sweep", done, len(planned), unit="runs", note=note)
