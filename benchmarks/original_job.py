"""The original script's job on C1: a plain port of it beside sharpmin, on CIFAR-10-shaped random data.

    python benchmarks/original_job.py --json FILE [--repeats 5] [--quick]

Sides: `plain` (plain_port.py), and sharpmin, tuned as its command line tunes it, in `float32` and `bfloat16`.
Tasks: training at batch 256 and at 5000, evaluation at 5000, and the whole job scaled down.

The sides take turns (plain, float32, bfloat16, plain, ...), each in its own process (job_worker.py), one at
work at a time. A ratio pairs two turns of one round. The job's processes are new in every round. Where the processor
only emulates bfloat16, that side is left out: it would take hours to say so.
docs/benchmarks.md says how to read the JSON.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import plain_port
import torch
from job_worker import QUICK, SIDES, TASKS, Sizes, work
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from turns import Row, shown, summary

from sharpmin import runtime


class Worker:
    """The parent's end of a worker process."""

    def __init__(self, side: str, task: str, *, quick: bool) -> None:
        command = [sys.executable, __file__, "--worker", side, "--task", task, *["--quick"] * quick]
        self.side, self.name = side, f"{task} {side}"
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ready = self.answer()

    def answer(self) -> Row:
        """The next line of the worker."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(
                f"worker {self.name} ended with exit code {self.process.wait()}: see above; is memory free?"
            )
        return json.loads(line)

    def measure(self) -> Row:
        """Have the worker take its turn."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return {"side": self.side, **self.ready, **self.answer()}

    def close(self) -> None:
        """End the worker."""
        self.process.communicate()


def rounds(task: str, sides: Sequence[str], repeats: int, *, quick: bool) -> list[Row]:
    """Let the sides take turns; a row for each turn. Workers last for all rounds, the job's for one."""
    if task == "job" and repeats > 1:
        alone = [rounds(task, sides, 1, quick=quick) for _ in range(repeats)]
        return [{**row, "round": number} for number, rows in enumerate(alone) for row in rows]
    workers = [Worker(side, task, quick=quick) for side in sides]
    rows = []
    for number in range(repeats):
        for worker in workers:
            rows.append({"task": task, "round": number, **worker.measure()})
            print(f"{worker.name}: {rows[-1]['seconds']:.2f} s", file=sys.stderr, flush=True)
    for worker in workers:
        worker.close()
    return rows


def images(task: str, sizes: Sizes) -> tuple[int, int]:
    """Images trained on and images evaluated in one unit of a task."""
    if task == "job":
        both = sizes.job_train + sizes.job_test
        return 2 * sizes.job_train, 2 * sizes.job_test + sizes.job_points * both
    batch = sizes.small_batch if task == "train256" else sizes.large_batch
    return (0, batch) if task == "evaluate5000" else (batch, 0)


def flops_per_image(batch: int = 8) -> dict[str, float]:
    """Floating-point operations of C1 for one image, forward alone and with its backward pass."""
    model, inputs, targets = plain_port.c1(), torch.rand(batch, 3, 32, 32), torch.zeros(batch, dtype=torch.int64)
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        model(inputs)
    with FlopCounterMode(display=False) as both:
        F.cross_entropy(model(inputs), targets).backward()
    return {"evaluate": forward.get_total_flops() / batch, "train": both.get_total_flops() / batch}


def matmul_gflops(dtype: torch.dtype, sizes: Iterable[int], *, tries: int = 6, seconds: float = 30.0) -> float:
    """The best of several square matrix products, in GFLOP/s; none is begun when the seconds are over."""
    best, start = 0.0, time.perf_counter()
    for n in sizes:
        a, b = torch.rand(n, n).to(dtype), torch.rand(n, n).to(dtype)
        for _ in range(tries):
            began = time.perf_counter()
            if best and began - start > seconds:
                return best
            a @ b
            best = max(best, 2 * n**3 / (time.perf_counter() - began) / 1e9)
    return best


def emulated(gflops: dict[str, float]) -> bool:
    """Whether the processor has no instructions for bfloat16: its matrix products then take far longer in it."""
    return gflops["bfloat16"] < gflops["float32"] / 4


def report(rows: list[Row], sizes: Sizes, gflops: dict[str, float]) -> dict[str, Any]:
    """Every number by name: `<task>_<side>`."""
    flops = flops_per_image()
    found: dict[str, Any] = {"matmul_gflops": gflops, "flops_per_image": flops}
    for task, side in dict.fromkeys((row["task"], row["side"]) for row in rows):
        name, mine = f"{task}_{side}", [row for row in rows if (row["task"], row["side"]) == (task, side)]
        plain = [row for row in rows if (row["task"], row["side"]) == (task, "plain")]
        trained, evaluated = images(task, sizes)
        each = [row["seconds"] / row["units"] for row in mine]
        gflop = (trained * flops["train"] + evaluated * flops["evaluate"]) / 1e9
        peak = gflops["bfloat16" if side == "bfloat16" else "float32"]
        numbers = {
            "images_per_s": summary((trained + evaluated) / s for s in each),
            "share_of_matmul_peak": summary(gflop / s / peak for s in each),
            "peak_memory_gib": max(row["peak_bytes"] for row in mine) / 2**30,
        }
        if side != "plain":
            pairs = zip(plain, each, strict=True)
            numbers["ratio"] = summary(row["seconds"] / row["units"] / s for row, s in pairs)
        if task == "job":
            numbers["seconds"] = summary(each)
        for kind, number in numbers.items():
            found.setdefault(kind, {})[name] = number
    return found


def table(found: dict[str, Any]) -> str:
    """The numbers to read: medians, the ratio's range in brackets."""
    lines = [f"{'':24}{'images/s':>10}{'ratio to plain':>26}{'of matmul peak':>16}{'peak GiB':>10}"]
    for name, rate in found["images_per_s"].items():
        ratio = shown(found["ratio"].get(name))
        share, memory = found["share_of_matmul_peak"][name]["median"], found["peak_memory_gib"][name]
        lines.append(f"{name:24}{rate['median']:>10.0f}{ratio:>26}{share:>16.0%}{memory:>10.2f}")
    seconds = ", ".join(f"{name} {number['median']:.1f} s" for name, number in found["seconds"].items())
    peaks = ", ".join(f"{name} {number:.3g} GFLOP/s" for name, number in found["matmul_gflops"].items())
    return "\n".join([*lines, seconds, f"matmul: {peaks}"])


def check_same_loss(rows: list[Row]) -> None:
    """Stop where plain and float32 did not evaluate the same function."""
    losses = {row["side"]: row["loss"] for row in rows if "loss" in row}
    if abs(losses["plain"] - losses["float32"]) > 1e-4:
        raise SystemExit(f"the sides disagree on the loss at x0, so their speeds cannot be compared: {losses}")


def compare(file: Path, repeats: int, *, quick: bool) -> None:
    """Run every task, write the JSON, print the table."""
    sizes = QUICK if quick else Sizes()
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(runtime.available_processors())
    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    gflops = {name: matmul_gflops(dtype, sizes.matmuls) for name, dtype in dtypes.items()}
    sides = [side for side in SIDES if not (side == "bfloat16" and emulated(gflops))]
    rows: list[Row] = []
    for task in TASKS:
        rows += rounds(task, sides, -(-repeats // 2) if task == "job" else repeats, quick=quick)
    check_same_loss(rows)
    found = report(rows, sizes, gflops)
    head = {
        "environment": runtime.environment(device=torch.device("cpu")),
        "left_out": [side for side in SIDES if side not in sides],
        "quick": quick,
        "repeats": repeats,
        "sizes": asdict(sizes),
    }
    print(table(found))
    if "bfloat16" not in sides:
        print("bfloat16 is left out: this processor only emulates it")
    if quick:
        print("--quick: a smoke test at sizes too small to say anything about speed")
    file.write_text(json.dumps({**head, **found, "turns": rows}, indent=2) + "\n")


def main() -> None:
    """Parse the command line; a worker's is for this script's own use."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="where to write every number")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of each task (of the job: half as many)")
    parser.add_argument("--quick", action="store_true", help="a smoke test at tiny sizes")
    parser.add_argument("--worker", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker and options.task:
        return work(options.worker, options.task, QUICK if options.quick else Sizes())
    if options.json is None or options.repeats < 1:
        parser.error("give --json FILE, and at least 1 repeat")
    return compare(options.json, options.repeats, quick=options.quick)


if __name__ == "__main__":
    main()
