"""What the side-by-side benchmarks share: turns in processes of their own, clocks, and what is made of several turns.

The allocator and the peak memory belong to a process, hence a process for each turn. One works at a time and the sides
take turns; a ratio pairs two turns of one round. A row is one turn: `task`, `side`, `round`, `seconds`, `cpu` and
`peak_bytes`, beside what the side found.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

Row = dict[str, Any]


def clocked(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What work gives, its seconds on the clock and on the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def peak_bytes() -> int:
    """The most memory this process has held. (On Linux ru_maxrss would count the parent's at the start, too.)"""
    try:
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource  # not on Windows

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def answer_of(script: str, *arguments: object) -> Row:
    """Have a new process of a script take a turn; its answer is the last line it prints, in JSON."""
    command = [sys.executable, script, *map(str, arguments)]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(printed.splitlines()[-1])


def summary(values: Iterable[float]) -> dict[str, float]:
    """How many, their median, minimum and maximum."""
    values = list(values)
    return {"n": len(values), "median": statistics.median(values), "minimum": min(values), "maximum": max(values)}


def report(rows: list[Row], *, to: str = "sharpmin") -> dict[str, Any]:
    """Seconds by name, `<task>_<side>`, and the ratios to a side by clock and by processor time."""
    found: dict[str, Any] = {"seconds": {}, "ratio": {}, "ratio_of_cpu_seconds": {}, "peak_memory_gib": {}}
    for task, side in dict.fromkeys((row["task"], row["side"]) for row in rows):
        mine, others = ([r for r in rows if (r["task"], r["side"]) == (task, s)] for s in (side, to))
        name = f"{task}_{side}"
        found["seconds"][name] = summary(row["seconds"] for row in mine)
        found["peak_memory_gib"][name] = max(row["peak_bytes"] for row in mine) / 2**30
        if side != to:
            for key, clock in (("ratio", "seconds"), ("ratio_of_cpu_seconds", "cpu")):
                found[key][name] = summary(a[clock] / b[clock] for a, b in zip(mine, others, strict=True))
    return found


def shown(ratio: dict[str, float] | None) -> str:
    """A summary, to read."""
    return "{median:.2f} ({minimum:.2f}-{maximum:.2f}, n={n})".format(**ratio) if ratio else ""


def table(found: dict[str, Any]) -> str:
    """The numbers to read; the share of the machine's peak where it is known."""
    shares = found.get("share_of_matmul_peak", {})
    head = f"{'':34}{'seconds':>10}{'times sharpmin':>28}{'by processor time':>20}{'peak GiB':>10}"
    lines = [head + f"{'of matmul peak':>16}" * bool(shares)]
    for name, seconds in found["seconds"].items():
        cpu = found["ratio_of_cpu_seconds"].get(name)
        cpu_shown, memory = f"{cpu['median']:.2f}" if cpu else "", found["peak_memory_gib"][name]
        ratio, share = shown(found["ratio"].get(name)), f"{shares[name]['median']:>16.0%}" if name in shares else ""
        lines.append(f"{name:34}{seconds['median']:>10.2f}{ratio:>28}{cpu_shown:>20}{memory:>10.2f}{share}")
    return "\n".join(lines)
