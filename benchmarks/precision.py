"""Which measures tolerate bfloat16 or TF32: each quantity in several precisions beside float64.

    python benchmarks/precision.py --json FILE [--networks F1 C1] [--images F1=300 C1=100] [--seeds 3] [--quick]

Small-batch trainings of F1 on MNIST and C1 on CIFAR-10, on a class-balanced subset, are stopped early (`few` epochs)
and near convergence (`many`); a large-batch one ends the path. At both, with the whole subset as one batch, are
measured:

loss, gradient, product     f; its gradient; its Hessian times one random vector
eigenvalues                 the largest of the Hessian
metric 0.001, metric 0.0005 Metric 2.1 at that epsilon; and what f in float64 says of the point that was found
path                        losses at seven points from alpha = -1 to 2

float32             PyTorch's
tf32                float32 whose matrix products and convolutions have TF32 operands: emulated (emulation.py)
bfloat16            `Objective(precision="bfloat16")`; its products computed in float32 from the bfloat16 operands
bfloat16 weights    float32, but theta is rounded to bfloat16 wherever f is asked, as in a model stored in 16 bits

An error is relative to float64: |a - b| / |b|, of vectors the Euclidean norm's, of several numbers the largest. Rows
are written as they come, and those that are in FILE already are not computed again. docs/precision.md says how to read
them.
"""

import argparse
import copy
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from emulation import MatrixUnit
from torch import Tensor, nn

from sharpmin import data, runtime, zoo
from sharpmin.data import Examples
from sharpmin.data.subset import subset
from sharpmin.history import State
from sharpmin.landscape import path
from sharpmin.landscape.paths import default_alphas
from sharpmin.measures import sharpness, spectrum
from sharpmin.objective import Objective
from sharpmin.products import Curvature
from sharpmin.train_config import TrainConfig
from sharpmin.training import train

Row = dict[str, Any]
Ask = Callable[["Setting"], Row]
PRECISIONS = ("float64", "float32", "tf32", "bfloat16", "bfloat16 weights")
POINTS = 7
TOLERANCE, PRODUCTS = 1e-3, 30  # relative residual of an eigenvalue; products spent at most


@dataclass(frozen=True)
class Plan:
    """What is trained: on how many images, at which batch sizes, for how many epochs; and how many eigenvalues."""

    dataset: str
    images: int
    small_batch: int
    few: int
    many: int
    eigenvalues: int


PLANS = {"F1": Plan("mnist", 300, 64, 2, 30, 3), "C1": Plan("cifar10", 100, 32, 3, 30, 1)}


class RoundedWeights(Objective):
    """f at the bfloat16 numbers nearest to theta."""

    def pieces(self, theta: Tensor) -> dict[str, Tensor]:
        """The named weights, rounded."""
        return super().pieces(theta.bfloat16().float())


@dataclass(frozen=True)
class Setting:
    """f in one precision at one point, and f in float64 to judge it by."""

    precision: str
    model: nn.Module
    examples: Examples
    eigenvalues: int
    end: nn.Module  # of the path

    def objective(self, precision: str) -> Objective:
        """F in a precision."""
        if precision == "float64":
            wide = Examples(self.examples.inputs.double(), self.examples.targets)
            return Objective(copy.deepcopy(self.model).double(), wide, batch_norm="batch")
        if precision == "bfloat16 weights":
            return RoundedWeights(self.model, self.examples, batch_norm="batch")
        arithmetic = "bfloat16" if precision == "bfloat16" else "float32"
        return Objective(self.model, self.examples, batch_norm="batch", precision=arithmetic)  # type: ignore[arg-type]

    @property
    def f(self) -> Objective:
        """F in this precision."""
        return self.objective(self.precision)

    @property
    def curvature(self) -> Curvature:
        """The Hessian; under autocast by two backward passes, which the emulation follows on every network."""
        return Curvature(self.f, method="double-backward" if self.precision == "bfloat16" else "auto")

    def arithmetic(self) -> ExitStack:
        """What replaces the matrix products; convolutions are direct then, as on a GPU."""
        stack = ExitStack()
        if self.precision in ("tf32", "bfloat16"):
            stack.enter_context(patch("sharpmin.blocked.gains", return_value=False))
            stack.enter_context(MatrixUnit())
        return stack


def loss(at: Setting) -> Row:
    return {"value": at.f.value(at.f.theta)}


def gradient(at: Setting) -> Row:
    return {"value": at.f.value_and_grad(at.f.theta)[1]}


def product(at: Setting) -> Row:
    """Of the Hessian and a vector of random numbers."""
    matrix = at.curvature
    v = torch.randn(matrix.size, generator=torch.Generator().manual_seed(0)).to(matrix.dtype)
    return {"value": matrix @ v}


def eigenvalues(at: Setting) -> Row:
    """The largest, and whether the search ended well."""
    found = spectrum(at.curvature, k=at.eigenvalues, tol=TOLERANCE, max_products=PRODUCTS)
    evidence = {"products": found.products, "status": found.status, "asymmetry": found.asymmetry}
    return {"value": found.eigenvalues.tolist(), **evidence}


def metric(epsilon: float) -> Ask:
    """Metric 2.1, and what it is in float64 at the point found."""

    def ask(at: Setting) -> Row:
        found, exact = sharpness(at.f, epsilon=epsilon), at.objective("float64")
        here, there = (exact.value(exact.theta + step) for step in (0 * exact.theta, found.displacement.double()))
        evidence = {"loss": found.loss, "evaluations": found.evaluations, "status": found.status}
        return {"value": found.value, "in_float64": 100 * (there - here) / (1 + here), **evidence}

    return ask


def along_path(at: Setting) -> Row:
    """The losses at seven points."""
    f, end = at.f, Objective(at.end, at.examples, batch_norm="batch").theta
    found = path(f, f.theta, end.to(f.theta), alphas=default_alphas(POINTS))
    return {"value": list(found.losses)}


QUANTITIES: dict[str, Ask] = {
    "loss": loss,
    "gradient": gradient,
    "product": product,
    "eigenvalues": eigenvalues,
    "metric 0.001": metric(1e-3),
    "metric 0.0005": metric(5e-4),
    "path": along_path,
}


def trained(network: str, plan: Plan, seed: int, examples: Examples) -> tuple[dict[str, nn.Module], nn.Module]:
    """The two small-batch minimizers by name, and the large-batch one."""
    kept: dict[str, nn.Module] = {}

    def keep(state: State) -> None:
        for name in ("few", "many"):
            if state.epochs == getattr(plan, name):
                kept[name] = copy.deepcopy(model).eval()

    model = zoo.build(network, seed=seed)
    train(model, examples, TrainConfig(plan.small_batch, plan.many, seed=seed), after_epoch=keep)
    large = zoo.build(network, seed=seed)
    train(large, examples, TrainConfig(len(examples) // 2, plan.many, seed=seed))
    return kept, large.eval()


def measured(network: str, plan: Plan, seed: int, *, quantities: list[str], done: list[Row]) -> Iterator[list[Row]]:
    """The quantities at a seed's minimizers, but those that are done: a row for each precision."""
    shape = zoo.default_interface(network).shape
    split = data.load(plan.dataset) if plan.dataset else data.synthetic(train=plan.images, test=1, shape=shape)
    examples = subset(split.train, plan.images, classes=split.classes)
    points, end = trained(network, plan, seed, examples)
    for point, model in points.items():
        settings = [Setting(precision, model, examples, plan.eigenvalues, end) for precision in PRECISIONS]
        for quantity in quantities:
            asked = {"network": network, "seed": seed, "point": point, "quantity": quantity}
            if not any(asked.items() <= row.items() for row in done):
                yield [{**asked, **row} for row in compared(QUANTITIES[quantity], settings)]


def compared(ask: Ask, settings: list[Setting]) -> list[Row]:
    """What is found in each setting, and its error relative to the first, which is float64."""
    answers, found = [], list[Row]()
    for at in settings:
        began = time.perf_counter()
        with at.arithmetic():
            answers.append(ask(at))
        answer = answers[-1]["value"]
        number = answer.double().norm().item() if isinstance(answer, Tensor) else answer
        evidence = {"error": error(answer, answers[0]["value"]), "seconds": time.perf_counter() - began}
        found.append({"precision": at.precision, **answers[-1], "value": number, **evidence})
    return found


def error(value: Any, reference: Any) -> float:
    """Relative to the reference: of a vector in the Euclidean norm, of several numbers the largest."""
    if isinstance(value, Tensor):
        return ((value.double() - reference).norm() / reference.norm()).item()
    if isinstance(value, list):
        return max(error(a, b) for a, b in zip(value, reference, strict=True))
    return abs(value - reference) / abs(reference) if reference else math.nan


def table(found: list[Row]) -> str:
    """Median error over the seeds, and the largest in brackets."""
    lines = [f"{'network, epochs, quantity':32}{'in float64':>12}" + "".join(f"{p:>24}" for p in PRECISIONS[1:])]
    for network, point, quantity in dict.fromkeys((r["network"], r["point"], r["quantity"]) for r in found):
        cells = []
        for precision in PRECISIONS:
            key = {"network": network, "point": point, "quantity": quantity, "precision": precision}
            mine = [row for row in found if key.items() <= row.items()]
            if precision == "float64":
                values = [v if isinstance(v := row["value"], float) else max(v) for row in mine]
                cells.append(f"{statistics.median(values):>12.3g}")
            elif mine:
                errors = [row["error"] for row in mine]
                cells.append(f"{f'{statistics.median(errors):.1e} ({max(errors):.1e})':>24}")
        lines.append(f"{f'{network} {point} {quantity}':32}" + "".join(cells))
    return "\n".join(lines)


def network_and_images(text: str) -> tuple[str, int]:
    """Parse NAME=IMAGES."""
    name, _, images = text.partition("=")
    if name not in PLANS or not images.isdigit() or int(images) < 10:
        raise argparse.ArgumentTypeError(f"{text!r}: give NETWORK=IMAGES, a network of {', '.join(PLANS)}, 10 at least")
    return name, int(images)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--networks", nargs="+", choices=PLANS, default=list(PLANS))
    parser.add_argument("--images", type=network_and_images, nargs="+", default=[], help="NETWORK=IMAGES")
    parser.add_argument("--quantities", nargs="+", choices=QUANTITIES, default=list(QUANTITIES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a smoke test: a few synthetic images, few epochs")
    options = parser.parse_args()
    environment = runtime.tuned_environment(runtime.tune(threads=options.threads), device=torch.device("cpu"))
    plans = {name: replace(PLANS[name], images=dict(options.images).get(name, PLANS[name].images)) for name in PLANS}
    if options.quick:
        small = {"dataset": "", "images": 20, "small_batch": 10, "few": 1, "many": 2}
        plans = {name: replace(plan, **small) for name, plan in plans.items()}  # type: ignore[arg-type]
    found = json.loads(options.json.read_text())["rows"] if options.json.exists() else []
    for network in options.networks:
        for seed in range(1 if options.quick else options.seeds):
            for rows in measured(network, plans[network], seed, quantities=options.quantities, done=list(found)):
                found += rows
                print(*(rows[0][key] for key in ("network", "seed", "point", "quantity")), flush=True)
                head = {"plans": {name: vars(plan) for name, plan in plans.items()}, "quick": options.quick}
                options.json.write_text(
                    json.dumps({"environment": environment, **head, "rows": found}, indent=1) + "\n"
                )
    print(table(found))


if __name__ == "__main__":
    main()
