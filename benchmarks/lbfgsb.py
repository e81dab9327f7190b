"""What an iteration of our L-BFGS-B costs beside SciPy's.

    python benchmarks/lbfgsb.py --json FILE [--n 1757834 15000000] [--repeats 3] [--iterations 20]

The objective is separable, not convex and in a box; its own time is measured inside both solvers and
subtracted, so what is left is the optimizer. Cost per iteration = (time from the first callback to the
last, less the time in the objective) / (iterations between). The two solvers run by turns in one process,
SciPy in float64 through its public interface, ours in float32 and float64. Ratios are SciPy / ours of the
same turn. (Its memory is asserted by tests/optim/test_lbfgsb.py.)
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scipy
import torch
from torch import Tensor

from sharpmin.optim import lbfgsb

HALF_WIDTH = 1.0


@dataclass
class Stopwatch:
    """Adds up the time in the objective and notes, at each callback, the clock less that time."""

    inside: float = 0.0
    marks: list[float] = field(default_factory=list)

    def mark(self, _: object) -> None:
        """Note the clock; a callback for either solver."""
        self.marks.append(time.perf_counter() - self.inside)

    def timed(self, function: Callable) -> Callable:
        """Return the function with its time added up."""

        def call(x: object) -> object:
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
    """f(x) = sum_i h_i (x_i - c_i)^2 / 2 + cos(w x_i) / w, with h and c spread so that bounds become active."""

    h: Tensor
    c: Tensor
    w: float = 4.0

    @classmethod
    def of(cls, n: int, dtype: torch.dtype) -> "Wells":
        """Return the same wells at any dtype."""
        generator = torch.Generator().manual_seed(n)
        h = torch.rand(n, generator=generator).mul_(8.0).add_(0.05)
        return cls(h.to(dtype), torch.randn(n, generator=generator).to(dtype))

    def start(self) -> Tensor:
        """Return a point halfway to the bounds, on the wrong side."""
        return -0.5 * self.c.sign()

    def __call__(self, x: Tensor) -> tuple[float, Tensor]:
        """Return f and its gradient at x."""
        value, gradient = 0.0, torch.empty_like(x)
        for i in range(0, len(x), 1 << 16):
            part, h, w = x[i : i + (1 << 16)], self.h[i : i + (1 << 16)], self.w
            away = part - self.c[i : i + (1 << 16)]
            value += float((h * away * away / 2 + torch.cos(w * part) / w).sum(dtype=torch.float64))
            gradient[i : i + (1 << 16)] = h * away - torch.sin(w * part)
        return value, gradient


def run_ours(n: int, iterations: int, dtype: torch.dtype) -> dict:
    wells, watch = Wells.of(n, dtype), Stopwatch()
    result = lbfgsb.minimize(
        watch.timed(wells), wells.start(), (-HALF_WIDTH, HALF_WIDTH), max_iter=iterations, callback=watch.mark
    )
    return {"seconds": watch.per_iteration, "fun": result.fun, "nit": result.nit, "nfev": result.nfev}


def run_scipy(n: int, iterations: int) -> dict:
    wells, watch = Wells.of(n, torch.float64), Stopwatch()

    def fun(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = wells(torch.from_numpy(x))
        return value, gradient.numpy()

    result = scipy.optimize.minimize(
        watch.timed(fun),
        wells.start().numpy(),
        jac=True,
        method="L-BFGS-B",
        bounds=scipy.optimize.Bounds(np.full(n, -HALF_WIDTH), np.full(n, HALF_WIDTH)),
        callback=watch.mark,
        options={"maxiter": iterations, "ftol": 0.0, "gtol": 0.0},
    )
    return {"seconds": watch.per_iteration, "fun": result.fun, "nit": result.nit, "nfev": result.nfev}


def summary(values: list[float]) -> dict[str, float]:
    return {"n": len(values), "median": statistics.median(values), "min": min(values), "max": max(values)}


def compare(n: int, repeats: int, iterations: int) -> dict[str, dict]:
    """Run the solvers by turns; return the statistics of seconds per iteration and of the ratios."""
    turns: dict[str, list[dict]] = {"scipy_float64": [], "ours_float64": [], "ours_float32": []}
    for _ in range(repeats):
        turns["scipy_float64"].append(run_scipy(n, iterations))
        turns["ours_float64"].append(run_ours(n, iterations, torch.float64))
        turns["ours_float32"].append(run_ours(n, iterations, torch.float32))
    seconds = {name: [turn["seconds"] for turn in runs] for name, runs in turns.items()}
    report: dict[str, dict] = {
        f"seconds_per_iteration_{name}_n{n}": summary(values) for name, values in seconds.items()
    }
    for name in ("ours_float64", "ours_float32"):
        ratios = [a / b for a, b in zip(seconds["scipy_float64"], seconds[name], strict=True)]
        report[f"ratio_scipy_to_{name}_n{n}"] = summary(ratios)
    report[f"runs_n{n}"] = {name: runs[-1] for name, runs in turns.items()}
    return report


def environment() -> dict[str, object]:
    return {
        "machine": platform.machine(),
        "processor": platform.processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "scipy": scipy.__version__,
        "numpy": np.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--n", type=int, nargs="+", default=[1_757_834, 15_000_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=20)
    options = parser.parse_args()
    report: dict[str, object] = {"environment": environment(), "iterations": options.iterations}
    for n in options.n:
        report |= compare(n, options.repeats, options.iterations)
    options.json.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
