"""Metric 2.1 and the L-BFGS-B inside it: SciPy's beside sharpmin's.

    python benchmarks/sharpness.py --json FILE [--sizes 1757834 15000000] [--images F1=2000 C1=256] [--repeats 5]

Tasks: `optimizer_n<variables>`, an iteration of the optimizer alone; `metric_<network>`, a whole `sharpness(...)` in
the full space, at the paper's ten iterations, on that many synthetic images. Sides: `scipy`, `float64` and `float32`
for the optimizer (SciPy's works in float64 only); `scipy` and `sharpmin`, the two values of `solver`, for the metric.

The optimizer's objective is separable, not convex and in a box; its own time is subtracted. Seconds are those from the
first callback to the last, without it, over the iterations in between. Of the metric, `own` are the seconds outside
the network. Each turn is a process of its own, tuned as the command line tunes it, one at a time; the sides take turns.
A ratio is SciPy's seconds over the side's of the same round. docs/benchmarks.md says how to read the JSON.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import torch
from torch import Tensor
from turns import Row, answer_of, peak_bytes, shown, summary

from sharpmin import data, runtime, zoo
from sharpmin.measures.sharpness import sharpness
from sharpmin.objective import Objective
from sharpmin.optim import lbfgsb

SHAPES = {"F1": (784,), "C1": (3, 32, 32)}
SIDES = {"optimizer": ("scipy", "float64", "float32"), "metric": ("scipy", "sharpmin")}


@dataclass
class Stopwatch:
    """Adds up the time in the objective and notes, at each callback, the clock less that time."""

    inside: float = 0.0
    marks: list[float] = field(default_factory=list)

    def mark(self, _: object) -> None:
        """Note the clock; a callback for either optimizer."""
        self.marks.append(time.perf_counter() - self.inside)

    def timed(self, function: Callable) -> Callable:
        """The function, with its time added up."""

        def call(x: Any) -> Any:
            start = time.perf_counter()
            answer = function(x)
            self.inside += time.perf_counter() - start
            return answer

        return call

    @property
    def per_iteration(self) -> float:
        """Seconds between two callbacks, without the objective, on average."""
        return (self.marks[-1] - self.marks[0]) / (len(self.marks) - 1)


@dataclass(frozen=True)
class Wells:
    """f(x) = sum_i h_i (x_i - c_i)^2 / 2 + cos(w x_i) / w in [-1, 1]^n; a fifth of the variables end at a bound."""

    h: Tensor
    c: Tensor
    w: float = 4.0

    @classmethod
    def of(cls, n: int, dtype: torch.dtype) -> "Wells":
        """The same wells at any dtype."""
        generator = torch.Generator().manual_seed(n)
        h = torch.rand(n, generator=generator).mul_(8.0).add_(0.05)
        return cls(h.to(dtype), torch.randn(n, generator=generator).to(dtype))

    def start(self) -> Tensor:
        """A point halfway to the bounds, on the wrong side."""
        return -0.5 * self.c.sign()

    def __call__(self, x: Tensor) -> tuple[float, Tensor]:
        """The value and the gradient at x."""
        value, gradient = 0.0, torch.empty_like(x)
        for i in range(0, len(x), 1 << 16):
            part, h, w = x[i : i + (1 << 16)], self.h[i : i + (1 << 16)], self.w
            away = part - self.c[i : i + (1 << 16)]
            value += float((h * away * away / 2 + torch.cos(w * part) / w).sum(dtype=torch.float64))
            gradient[i : i + (1 << 16)] = h * away - torch.sin(w * part)
        return value, gradient


def optimizer(side: str, n: int, iterations: int) -> Row:
    """Seconds of an iteration at n variables, both bounds as vectors, as in Metric 2.1."""
    wells, watch = Wells.of(n, getattr(torch, side) if side != "scipy" else torch.float64), Stopwatch()
    start, fun = wells.start(), watch.timed(wells)
    bound = torch.ones_like(start)
    found: Any
    if side != "scipy":
        found = lbfgsb.minimize(fun, start, (-bound, bound), max_iter=iterations, callback=watch.mark)
    else:
        found = scipy.optimize.minimize(
            lambda x: (lambda value, gradient: (value, gradient.numpy()))(*fun(torch.from_numpy(x))),
            start.numpy(),
            jac=True,
            method="L-BFGS-B",
            bounds=scipy.optimize.Bounds(-bound.numpy(), bound.numpy()),
            callback=watch.mark,
            options={"maxiter": iterations, "ftol": 0.0, "gtol": 0.0},
        )
    numbers = {"value": float(found.fun), "iterations": int(found.nit), "evaluations": int(found.nfev)}
    return {"seconds": watch.per_iteration, "seconds_in_objective": watch.inside, **numbers}


class TimedObjective(Objective):
    """An objective that adds up its time."""

    inside = 0.0

    def value_and_grad(self, theta: Tensor) -> tuple[float, Tensor]:
        """The loss and its gradient."""
        start = time.perf_counter()
        answer = super().value_and_grad(theta)
        self.inside += time.perf_counter() - start
        return answer


def metric(side: str, network: str, images: int) -> Row:
    """Seconds of Metric 2.1 at a network's starting point."""
    examples = data.synthetic(train=images, test=1, shape=SHAPES[network]).train
    f = TimedObjective(zoo.build(network, seed=0), examples, batch_norm="batch", batch_size=images)
    f.value_and_grad(f.theta)
    f.inside = 0.0
    found = sharpness(f, solver="scipy" if side == "scipy" else "sharpmin")
    numbers = {"value": found.value, "iterations": found.iterations, "evaluations": found.evaluations}
    return {"seconds": found.seconds, "own": found.seconds - f.inside, "weights": len(f.theta), **numbers}


def turn(task: str, side: str, size: int, iterations: int) -> Row:
    """One turn, in a process of its own."""
    runtime.tune()
    kind, _, what = task.partition("_")
    row = optimizer(side, size, iterations) if kind == "optimizer" else metric(side, what, size)
    return {"task": task, "side": side, **row, "peak_bytes": peak_bytes()}


def ask(task: str, side: str, size: int, iterations: int) -> Row:
    """Have a new process take a turn."""
    row = answer_of(__file__, "--worker", task, side, size, iterations)
    print(f"{task} {side}: {row['seconds']:.4f} s", file=sys.stderr, flush=True)
    return row


def read_bandwidth(tries: int = 5) -> float:
    """The most GB/s at which PyTorch sums a vector of 256 MB: what no pass over memory can beat by much."""
    numbers = torch.ones(1 << 25, dtype=torch.float64)
    seconds = []
    for _ in range(tries):
        start = time.perf_counter()
        numbers.sum()
        seconds.append(time.perf_counter() - start)
    return numbers.nbytes / min(seconds) / 1e9


def machine() -> dict[str, Any]:
    """The state of the machine, beside its description."""
    return {"load": os.getloadavg(), "available_memory": runtime.available_memory(), "read_gb_per_s": read_bandwidth()}


def report(rows: list[Row]) -> dict[str, Any]:
    """Every number by name, `<task>_<side>`."""
    found: dict[str, Any] = {"seconds": {}, "own": {}, "ratio": {}, "ratio_of_own": {}, "peak_memory_gib": {}}
    for task, side in dict.fromkeys((row["task"], row["side"]) for row in rows):
        mine, scipys = ([r for r in rows if (r["task"], r["side"]) == (task, s)] for s in (side, "scipy"))
        name = f"{task}_{side}"
        found["peak_memory_gib"][name] = max(row["peak_bytes"] for row in mine) / 2**30
        for key, ratio in (("seconds", "ratio"), ("own", "ratio_of_own")):
            if key in mine[0]:
                found[key][name] = summary(row[key] for row in mine)
                if side != "scipy":
                    found[ratio][name] = summary(a[key] / b[key] for a, b in zip(scipys, mine, strict=True))
    return found


def check_same_result(rows: list[Row]) -> None:
    """Stop where the sides did not end at values within 2% after as many iterations."""
    for task in {row["task"] for row in rows}:
        values = [row["value"] for row in rows if row["task"] == task]
        iterations = {row["iterations"] for row in rows if row["task"] == task}
        if max(values) - min(values) > 0.02 * abs(max(values)) or len(iterations) > 1:
            raise SystemExit(f"the sides of {task} disagree, so speeds cannot be compared: {values}, {iterations}")


def table(found: dict[str, Any]) -> str:
    """The numbers to read."""
    lines = [f"{'':30}{'seconds':>10}{'SciPy / this':>28}{'own seconds':>13}{'SciPy / this':>28}{'peak GiB':>10}"]
    for name, seconds in found["seconds"].items():
        ratio, own_ratio = (shown(found[key].get(name)) for key in ("ratio", "ratio_of_own"))
        own = f"{found['own'][name]['median']:.3f}" if name in found["own"] else ""
        memory = found["peak_memory_gib"][name]
        lines.append(f"{name:30}{seconds['median']:>10.4f}{ratio:>28}{own:>13}{own_ratio:>28}{memory:>10.2f}")
    return "\n".join(lines)


def compare(options: argparse.Namespace) -> None:
    """Run everything, write the JSON, print the table."""
    options.json.parent.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(runtime.available_processors())
    before = machine()
    tasks = {f"optimizer_n{n}": n for n in options.sizes} | {f"metric_{name}": k for name, k in options.images}
    rows = [
        {"round": number, **ask(task, side, size, options.iterations)}
        for task, size in tasks.items()
        for number in range(options.repeats)
        for side in SIDES[task.partition("_")[0]]
    ]
    check_same_result(rows)
    found = report(rows)
    print(table(found))
    versions = {"scipy": scipy.__version__, "numpy": np.__version__}
    head = {
        "environment": {**runtime.environment(device=torch.device("cpu")), **versions},
        "machine": {"before": before, "after": machine()},
        **{name: getattr(options, name) for name in ("sizes", "images", "repeats", "iterations")},
    }
    options.json.write_text(json.dumps({**head, **found, "turns": rows}, indent=2) + "\n")


def network_and_images(text: str) -> tuple[str, int]:
    """Parse NAME=IMAGES."""
    name, _, images = text.partition("=")
    if name not in SHAPES or not images.isdigit() or int(images) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give NETWORK=IMAGES, with a network of {', '.join(SHAPES)}")
    return name, int(images)


def main() -> None:
    """Parse the command line; a worker's is for this script's own use."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="where to write every number")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_757_834, 15_000_000], help="variables")
    defaults = [("F1", 2000), ("C1", 256)]
    parser.add_argument("--images", type=network_and_images, nargs="*", default=defaults, help="NETWORK=IMAGES")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of each task")
    parser.add_argument("--iterations", type=int, default=20, help="of the optimizer alone; Metric 2.1 has 10")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        task, side, size, iterations = options.worker
        print(json.dumps(turn(task, side, int(size), int(iterations))))
        return
    if options.json is None or options.repeats < 1 or not (options.sizes or options.images):
        parser.error("give --json FILE, at least 1 repeat, and sizes or images")
    if options.iterations < 2 or min(options.sizes, default=1) < 1:
        parser.error("give at least 2 iterations, and sizes of at least 1")
    compare(options)


if __name__ == "__main__":
    main()
