"""What Metric 2.1 becomes under other readings of what the paper leaves open.

    python benchmarks/metric_2_1_choices.py RUN --json FILE [--choices NAME ...] [--points SB LB] [--epsilon 1e-3]

RUN is a run folder of `sharpmin plot`. At each of its two minimizers the same search (10 iterations) is made once for
each choice in `CHOICES`: from another start, in other units, with SciPy's own tolerances, with
another random matrix A. Only reads the run folder. A row is written to FILE as soon as it is computed, and rows that
are there already are not computed again.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.optimize
import torch
from torch import Tensor

from sharpmin import runtime, subjects
from sharpmin.cli.measuring import data_of_run
from sharpmin.measures.searched_box import SearchedBox, corner, maximise
from sharpmin.measures.subspace import RandomSubspace
from sharpmin.objective import Objective
from sharpmin.optim import lbfgsb
from sharpmin.progress import silent

ITERATIONS, DIMENSIONS, SEED = 10, 100, 0


class UniformSubspace(RandomSubspace):
    """A with entries uniform in [0, 1) instead of standard normal."""

    def _draw(self, start: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed + start)
        return torch.rand(min(1 << 17, self.n - start), self.p, generator=generator).to(self.like)


def box(objective: Objective, matrix: type[RandomSubspace] | None, *, epsilon: float) -> SearchedBox:
    """The box around the model's weights, in full space or spanned by a random matrix."""
    x = objective.theta
    made = SearchedBox(
        objective, x, epsilon=epsilon, subspace=None, seed=SEED, expected=ITERATIONS + 2, progress=silent
    )
    if matrix is not None:
        made.span = matrix(len(x), DIMENSIONS, seed=SEED, like=x)
        made.widths = epsilon * (made.span.coordinates(x).abs() + 1)
    return made


def from_corner(around: SearchedBox, gradient: Tensor) -> Tensor:
    return corner(around, gradient, seed=SEED)


def from_zero(around: SearchedBox, gradient: Tensor) -> Tensor:
    return torch.zeros_like(gradient)


def from_random(around: SearchedBox, gradient: Tensor) -> Tensor:
    uniform = torch.rand(len(gradient), generator=torch.Generator().manual_seed(SEED))
    return around.widths * (2 * uniform.to(gradient) - 1)


def own_units(around: SearchedBox, y: Tensor) -> str:
    """Search in y itself, no tolerances: what sharpmin does."""
    return maximise(around, y, iterations=ITERATIONS).status


def scaled(around: SearchedBox, y: Tensor) -> str:
    """Search in z = y / b, so that the box is [-1, 1]^n."""

    def negated(z: Tensor) -> tuple[float, Tensor]:
        value, gradient = around.negated(z * around.widths)
        return value, gradient * around.widths

    return str(lbfgsb.minimize(negated, y / around.widths, (-1.0, 1.0), max_iter=ITERATIONS).status)


def scipy_defaults(around: SearchedBox, y: Tensor) -> str:
    """Search in y by SciPy, with its own tolerances (ftol 2.2e-9, gtol 1e-5)."""

    def negated(at: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = around.negated(torch.from_numpy(at).to(around.widths))
        return value, gradient.double().numpy()

    widths = around.widths.double().numpy()
    found = scipy.optimize.minimize(
        negated,
        y.double().numpy(),
        jac=True,
        method="L-BFGS-B",
        bounds=scipy.optimize.Bounds(-widths, widths),
        options={"maxiter": ITERATIONS, "maxcor": 10},
    )
    return str(found.message)


Start = Callable[[SearchedBox, Tensor], Tensor]
Search = Callable[[SearchedBox, Tensor], str]
CHOICES: dict[str, tuple[type[RandomSubspace] | None, Start, Search]] = {
    "corner": (None, from_corner, own_units),
    "zero": (None, from_zero, own_units),
    "random start": (None, from_random, own_units),
    "zero, box scaled to [-1, 1]": (None, from_zero, scaled),
    "corner, box scaled to [-1, 1]": (None, from_corner, scaled),
    "zero, SciPy's tolerances": (None, from_zero, scipy_defaults),
    "corner, SciPy's tolerances": (None, from_corner, scipy_defaults),
    "subspace, A normal": (RandomSubspace, from_corner, own_units),
    "subspace, A uniform": (UniformSubspace, from_corner, own_units),
}


def measure(objective: Objective, choice: str, *, epsilon: float) -> dict[str, object]:
    """Metric 2.1 under a choice, with the evidence."""
    matrix, start, search = CHOICES[choice]
    began, around = time.perf_counter(), box(objective, matrix, epsilon=epsilon)
    loss, gradient = around.evaluate(torch.zeros_like(around.widths))
    first_order = (gradient.abs().double() @ around.widths.double()).item()
    status = search(around, start(around, gradient))
    return {
        "value": 100 * (around.best_loss - loss) / (1 + loss),
        "loss": loss,
        "max_loss": around.best_loss,
        "first_order": first_order,
        "evaluations": around.evaluations,
        "status": status,
        "seconds": time.perf_counter() - began,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--data", help="as in sharpmin plot")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--choices", nargs="+", choices=CHOICES, default=list(CHOICES))
    parser.add_argument("--points", nargs="+", choices=["SB", "LB"], default=["SB", "LB"])
    parser.add_argument("--epsilon", type=float, default=1e-3)
    options = parser.parse_args()
    tuned = runtime.tune(threads=options.threads)
    environment = runtime.tuned_environment(tuned, device=torch.device("cpu"))
    split = data_of_run(options.run, options.data, silent)
    subject = subjects.of_run(options.run, split, subjects.Evaluation(batch_norm="batch"))
    rows = json.loads(options.json.read_text())["rows"] if options.json.exists() else []
    for choice in options.choices:
        for point in options.points:
            asked = {"choice": choice, "minimizer": point, "epsilon": options.epsilon}
            if any(asked.items() <= row.items() for row in rows):
                continue
            rows.append({**asked, **measure(subject.at(point), choice, epsilon=options.epsilon)})
            report = {"run": options.run.name, "iterations": ITERATIONS, "seed": SEED}
            options.json.write_text(json.dumps({**report, "environment": environment, "rows": rows}, indent=1) + "\n")
            print(f"{choice:32} {point}  {rows[-1]['value']:10.4f}  {rows[-1]['status']}", flush=True)


if __name__ == "__main__":
    main()
