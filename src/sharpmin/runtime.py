"""Tune this process once, and say on what it ran.

Importing sharpmin changes nothing; the command line calls `tune` first, and a notebook may.

Allocator: glibc gives every large block back to the kernel when it is freed and faults it in again, page by
page, at the next layer. M_MMAP_MAX = 0 and a large M_TRIM_THRESHOLD make it keep the memory; both are settings
of the process, not of PyTorch.
"""

import ctypes
import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import torch

from sharpmin.distributed.launch import launched
from sharpmin.errors import UsageError

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc, malloc.h
MOST = 64  # threads a processor: more never pay, and thousands end the process


@dataclass(frozen=True)
class Tuned:
    """What `tune` did.

    Attributes:
        threads: PyTorch's threads for one operation.
        allocator: "glibc, memory kept" or why the allocator was left alone.

    """

    threads: int
    allocator: str


def tune(*, threads: int | None = None) -> Tuned:
    """Set the allocator and the number of threads of this process.

    Args:
        threads: by default those of OMP_NUM_THREADS, else the processors this process may use.

    Raises:
        UsageError: fewer than 1, or so many that the process would not live.

    Example:
        >>> tune(threads=1).threads  # doctest: +SKIP
        1

    """
    threads = next(n for n in (threads, asked_threads(), available_processors()) if n is not None)
    check_threads(threads)
    torch.set_num_threads(threads)
    return Tuned(threads, keep_freed_memory())


def asked_threads() -> int | None:
    """What OMP_NUM_THREADS asks for, as clusters set it; None where it is not a number."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # the others are of nested loops
    return int(first) if first.isdecimal() and int(first) > 0 else None


def check_threads(threads: int) -> None:
    """Refuse a number of threads that cannot be had."""
    most = MOST * available_processors()
    if not 1 <= threads <= most:
        raise UsageError(f"{threads} threads: give at least 1 and at most {most} here, {MOST} for each processor")


def available_processors() -> int:
    """Processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_glibc() -> bool:
    """Whether this process has glibc's allocator."""
    return platform.libc_ver()[0] == "glibc"


def keep_freed_memory() -> str:
    """Tell glibc to keep freed blocks for the next layer; elsewhere do nothing and say so."""
    if not has_glibc():
        return "left alone: not glibc"
    mallopt = ctypes.CDLL(None).mallopt
    kept = mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, ctypes.c_int(2**31 - 1))
    return "glibc, memory kept" if kept else "left alone: glibc refused"


def resolve_device(name: str) -> torch.device:
    """The device of that name, or "auto": the GPU where there is one.

    Raises:
        UsageError: there is no such device here, or it has no float64, in which losses are summed (Apple's "mps").

    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"device {name!r} cannot be used here ({reason}): choose cpu, cuda, cuda:N or auto") from error
    try:
        torch.empty(1, dtype=torch.float64, device=device)
    except TypeError as error:
        raise UsageError(f"device {name!r} has no float64, in which losses are summed: choose cpu or cuda") from error
    return device


def available_memory() -> int | None:
    """Bytes of memory this process can still use: what the kernel has for it, and what its allocator keeps free.

    Processes that torchrun started on one machine share what the kernel has.
    """
    limits = []
    try:
        with open("/proc/meminfo", encoding="utf-8") as lines:
            fields = dict(line.split(":", 1) for line in lines)
        limits.append(int(fields["MemAvailable"].split()[0]) * 1024)
        with (
            open("/sys/fs/cgroup/memory.max", encoding="utf-8") as limit,
            open("/sys/fs/cgroup/memory.current", encoding="utf-8") as current,
        ):
            limits.append(int(limit.read()) - int(current.read()))
    except (OSError, KeyError, ValueError):
        pass  # not Linux, or no limit ("max")
    return min(limits) // launched().local_size + freed_memory() if limits else None


class Mallinfo2(ctypes.Structure):
    """What glibc's mallinfo2 gives: ten counts, of which the ninth (fordblks) is the bytes in free blocks."""

    _fields_ = [("counts", ctypes.c_size_t * 10)]


def freed_memory() -> int:
    """Bytes that this process has freed and its allocator has kept; 0 where there is no telling."""
    if not has_glibc() or not hasattr(libc := ctypes.CDLL(None), "mallinfo2"):
        return 0
    libc.mallinfo2.restype = Mallinfo2
    return libc.mallinfo2().counts[8]


def resident_memory() -> int:
    """Bytes of memory this process holds now; 0 where there is no telling."""
    return status_bytes("VmRSS")


def peak_memory() -> int:
    """The most bytes of memory this process has held; 0 where there is no telling."""
    return status_bytes("VmHWM")


def status_bytes(field: str) -> int:
    """A size from what Linux says of this process. (ru_maxrss would count the parent's at the start, too.)"""
    try:
        with open("/proc/self/status", encoding="utf-8") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
    except (OSError, StopIteration):
        return 0


def environment(*, device: torch.device) -> dict[str, Any]:
    """What a number depends on beside its settings: versions, processor, threads, device."""
    return {
        "sharpmin": version("sharpmin"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor_name(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }


def processor_name() -> str:
    """The processor as the system names it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def tuned_environment(tuned: Tuned, *, device: torch.device) -> dict[str, Any]:
    """The environment with what `tune` did."""
    return {**environment(device=device), **asdict(tuned)}
