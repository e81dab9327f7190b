"""Was this process started by torchrun, and as which one of how many? Read from the environment, without PyTorch."""

import os
from dataclasses import dataclass

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@dataclass(frozen=True)
class Launch:
    """Which process of a job this is.

    Attributes:
        rank: from 0, over all machines.
        size: processes, over all machines.
        local_rank: from 0, on this machine.
        local_size: processes on this machine.

    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1


def launched() -> Launch:
    """What torchrun says, or the only process of a job that it did not start.

    Example:
        >>> launched().size
        1

    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return Launch()
    return Launch(*(int(os.environ[name]) for name in NAMES))
