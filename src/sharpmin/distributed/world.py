"""The processes that torchrun started with this one: joined by the command line, and by nobody else.

Like PyTorch's default process group, the world is one for a process. What computes is handed it as a `Group`; only
`sharpmin.disk`, which must not write a file once for each process, asks for it here.
"""

from datetime import timedelta

import torch
from torch import distributed as dist

from sharpmin.distributed.group import ALONE, Group
from sharpmin.distributed.launch import Launch, launched

PATIENCE = timedelta(hours=1)  # for one that does not answer and has not ended; the slowest download is no reason
FAILED = "sharpmin/failed"

_joined: list[tuple[Group, dist.Store]] = []


def world() -> Group:
    """The group that this process has joined, or `ALONE`.

    Example:
        >>> world().size
        1

    """
    return _joined[0][0] if _joined else ALONE


def join(launch: Launch | None = None) -> Group:
    """Meet the other processes of the job, once; the world from then on.

    Args:
        launch: who this is; by default what torchrun says.

    """
    launch = launched() if launch is None else launch
    if launch.size == 1 or _joined:
        return world()
    store, rank, size = next(dist.rendezvous("env://", timeout=PATIENCE))
    dist.init_process_group(backend(launch), store=store, rank=rank, world_size=size, timeout=PATIENCE)
    _joined.append((Group(rank, size), store))
    return world()


def leave() -> None:
    """Part from the others, who are done too."""
    if _joined:
        _joined.clear()
        dist.destroy_process_group()


def is_first_to_fail() -> bool:
    """Whether this process tells an error that may be everybody's: rank 0, and once they have met the first to ask."""
    return _joined[0][1].add(FAILED, 1) == 1 if _joined else launched().rank == 0


def backend(launch: Launch) -> str:
    """Gloo between processors, NCCL between GPUs: each process takes the GPU of its local rank, where it has one."""
    if not torch.cuda.is_available() or torch.cuda.device_count() < launch.local_size:
        return "gloo"
    torch.cuda.set_device(launch.local_rank)
    return "cpu:gloo,cuda:nccl"
