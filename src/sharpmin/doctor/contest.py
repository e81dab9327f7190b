"""Training steps under different settings, side by side: the settings take turns, and one step is taken at a time.

Whatever else the machine does then hits all of them alike. A ratio pairs two turns of one round.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Literal

from sharpmin.doctor.worker import Turn
from sharpmin.errors import SharpminError
from sharpmin.progress import Progress, silent
from sharpmin.timing import Summary, summary

Allocator = Literal["kept", "default"]
EXAMPLES = (32, 64, 128, 256)
STEP = 0.6  # seconds that one step should take at most


@dataclass(frozen=True)
class Contestant:
    """A setting: of the process, and of the step."""

    turn: Turn
    allocator: Allocator = "kept"


@dataclass(frozen=True)
class Contest:
    """Seconds of every turn, by the setting's name.

    Attributes:
        examples: of a step.
        seconds: a list for each setting, in the order of the rounds.

    """

    examples: int
    seconds: dict[str, list[float]]

    def speedup(self, name: str, *, over: str) -> Summary:
        """How many times as fast as another setting, round by round.

        Example:
            >>> Contest(256, {"a": [1.0, 2.0], "b": [3.0, 4.0]}).speedup("a", over="b")
            Summary(median=2.5, minimum=2.0, maximum=3.0, n=2)

        """
        return summary(b / a for a, b in zip(self.seconds[name], self.seconds[over], strict=True))


class Worker:
    """The parent's end of a worker process."""

    def __init__(self, allocator: Allocator) -> None:
        command = [sys.executable, "-c", f"from sharpmin.doctor.worker import main; main({allocator!r})"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def seconds(self, turn: Turn) -> float:
        """Have it take a turn."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(asdict(turn)) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SharpminError(f"a measuring process ended with exit code {self.process.wait()}: is memory free?")
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


@contextmanager
def workers(contestants: Mapping[str, Contestant]) -> Iterator[dict[Allocator, Worker]]:
    """A process for each allocator that somebody needs."""
    running: dict[Allocator, Worker] = {}
    try:
        for contestant in contestants.values():
            if contestant.allocator not in running:
                running[contestant.allocator] = Worker(contestant.allocator)
        yield running
    finally:
        for worker in running.values():
            worker.close()


def contest(
    contestants: Mapping[str, Contestant], *, rounds: int = 5, seconds: float = 40.0, progress: Progress = silent
) -> Contest:
    """Let the settings take turns.

    Args:
        contestants: by name; the first one's speed decides how many examples a step has.
        rounds: at most.
        seconds: after which no further round begins; the first always does.
        progress: told the rounds done.

    """
    began = time.monotonic()
    found: dict[str, list[float]] = {name: [] for name in contestants}
    with workers(contestants) as running:
        first = next(iter(contestants.values()))
        examples = affordable(running[first.allocator], first.turn)

        def turn(contestant: Contestant) -> float:
            return running[contestant.allocator].seconds(replace(contestant.turn, examples=examples))

        for contestant in contestants.values():
            turn(contestant)  # to warm up
        for number in range(rounds):
            if number and time.monotonic() - began > seconds:
                break
            for name, contestant in contestants.items():
                found[name].append(turn(contestant))
            progress("measure", number + 1, rounds, unit="rounds")
    return Contest(examples, found)


def affordable(worker: Worker, turn: Turn) -> int:
    """The largest number of examples whose step is short enough."""
    worker.seconds(replace(turn, examples=EXAMPLES[0]))
    each = worker.seconds(replace(turn, examples=EXAMPLES[0])) / EXAMPLES[0]
    return max((n for n in EXAMPLES if n * each < STEP), default=EXAMPLES[0])
