"""A command that torchrun started as several processes: which verbs can, who speaks, and where each one works.

All processes run the same verb. Rank 0 alone prints; an error is told once, by the process it came to first. torchrun
ends all of them by SIGTERM as soon as one has ended, so those that have nothing to tell wait for that, and one that had
not heard yet that another is gone says so.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from sharpmin.distributed.launch import launched
from sharpmin.errors import RunError, UsageError

if TYPE_CHECKING:
    import torch

    from sharpmin.distributed.group import Group

VERBS = ("plot", "train", "sharpness", "path", "spectrum")
GRACE = 10.0  # seconds to wait for torchrun's SIGTERM


class Stopped(RunError):
    """A process of a job was sent SIGTERM."""


@dataclass(frozen=True)
class Place:
    """Where and with whom a command computes.

    Attributes:
        group: the processes of the job.
        device: of this process.
        environment: as recorded: rank 0's.

    """

    group: "Group"
    device: "torch.device"
    environment: dict[str, Any]


def settle(*, threads: int | None, device: str) -> Place:
    """Join the other processes, where there are any, and tune this one."""
    from sharpmin import runtime
    from sharpmin.distributed.world import join

    launch = launched()
    if threads is None and launch.local_size > 1:
        threads = max(1, runtime.available_processors() // launch.local_size)
    tuned = runtime.tune(threads=threads)
    group = join()
    where = runtime.resolve_device(device)
    environment = runtime.tuned_environment(tuned, device=where)
    together = {"processes": group.size} if group.size > 1 else {}
    return Place(group, where, group.first({**environment, **together}))


def check_verb(arguments: Sequence[str]) -> None:
    """Raise a UsageError for what several processes cannot do together."""
    if launched().size > 1 and arguments and not arguments[0].startswith("-") and arguments[0] not in VERBS:
        raise UsageError(
            f"{arguments[0]} runs in one process: start it without torchrun, which is for {', '.join(VERBS)}"
        )


@contextlib.contextmanager
def one_voice() -> Iterator[None]:
    """Let rank 0 print, and nobody else; at the end of a command that went well the processes part."""
    if launched().size == 1:
        yield
        return
    before = signal.signal(signal.SIGTERM, ended)
    try:
        with (
            open(os.devnull, "w", encoding="utf-8") as nowhere,
            contextlib.redirect_stdout(nowhere if launched().rank else sys.stdout),
        ):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)
    if "torch" in sys.modules:
        from sharpmin.distributed.world import leave

        leave()


def ended(number: int, frame: Any) -> NoReturn:
    """Say why torchrun ends this process."""
    raise Stopped(
        "torchrun ended this job: it was stopped, or another of its processes has ended; what was finished is kept, "
        "and the same command goes on from there"
    )


def tell(sentence: str, *, stopped: bool = False) -> None:
    """Print an error to stderr, once for all processes of a job; who is stopped already does not wait for it."""
    if may_tell():
        with contextlib.suppress(OSError):  # nobody can be told
            print(sentence, file=sys.stderr, flush=True)
    elif not stopped:
        time.sleep(GRACE)


def may_tell() -> bool:
    """Whether this process is the one that tells what went wrong."""
    if launched().size == 1 or "torch" not in sys.modules:  # a request that is refused before they have met
        return launched().rank == 0
    from sharpmin.distributed.world import is_first_to_fail

    return is_first_to_fail()
