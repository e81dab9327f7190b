"""Everything that another library does too, side by side: paths, planes, Metric 2.1, eigenvalues, traces, training.

    python benchmarks/peers.py --json FILE [--figure PNG] [--network C1] [--images 2000] [--repeats 3] [--quick]

All have one network at its starting point and the same random images as one batch. Tasks and who does them:

path, plane   sharpmin; `plain`, a loop in PyTorch; `loss-landscapes`
metric        sharpmin; `scipy`, its L-BFGS-B around a plain loop
top5, trace   sharpmin; `eigenthings` (hessian-eigenthings); `curvlinops`; `pyhessian`
train         an epoch; sharpmin; `plain`, the plain port of the original script
growth        seconds of a path against images, weights and points, on fully connected networks, with fitted slopes

The other libraries are optional, and none is installed here; those that are missing are left out, and the table and the
JSON say so and how to install them. Each turn is a process of its own, one at a time; the sides take turns, sharpmin as
its command line runs it and the others as their users have them. A side whose numbers disagree with sharpmin's gets no
ratio: losses within 1e-4, eigenvalues and Metric 2.1 within 2%, traces within their 99.9% intervals.
docs/benchmarks.md says how to read the JSON.
"""

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import growth
import numpy as np
import torch
from original_job import matmul_gflops
from sides import curvature, landscape, metric, training
from sides.problem import Problem
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from turns import Row, answer_of, clocked, peak_bytes, report, summary, table

from sharpmin import runtime

PACKAGES = {
    "loss-landscapes": ("loss_landscapes", "loss-landscapes"),
    "eigenthings": ("hessian_eigenthings", "hessian-eigenthings"),
    "curvlinops": ("curvlinops", "curvlinops-for-pytorch"),
    "pyhessian": ("pyhessian", "pyhessian"),
}  # side: the module, and what pip calls it
SIDES = {
    "path": ("sharpmin", "plain", "loss-landscapes"),
    "plane": ("sharpmin", "plain", "loss-landscapes"),
    "metric": ("sharpmin", "scipy"),
    "top5": ("sharpmin", "eigenthings", "curvlinops", "pyhessian"),
    "trace": ("sharpmin", "eigenthings", "curvlinops", "pyhessian"),
    "train": ("sharpmin", "plain"),
}
WARM_UP = 8  # images
LIGHTER = {"metric": "train", "top5": "trace"}  # what warms a task up as well and ends sooner
Work = Callable[[], Row]


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    images: int = 2000
    curvature_images: int = 250
    points: int = 25
    plane_points: int = 7
    products: int = 30
    tol: float = 1e-3
    batch: int = 256
    iterations: int = metric.ITERATIONS
    matmuls: tuple[int, ...] = (2048, 3072)


QUICK = Sizes(
    images=32,
    curvature_images=16,
    points=3,
    plane_points=3,
    products=6,
    tol=1e-2,
    batch=8,
    iterations=2,
    matmuls=(256,),
)


def work(task: str, side: str, network: str, sizes: Sizes, steps: int = 0) -> Row:
    """Do a task; what was found, and `passes`: forward passes, gradients and Hessian products over the images."""
    problem = Problem(network, sizes.curvature_images if task in ("top5", "trace") else sizes.images)
    if task in ("path", "plane"):
        points = sizes.points if task == "path" else sizes.plane_points
        losses = getattr(landscape.MAKERS[side](problem), task)(points)
        return {"losses": losses.tolist(), "passes": {"forward": losses.size}}
    if task == "metric":
        found = (metric.by_sharpmin if side == "sharpmin" else metric.by_scipy)(problem, sizes.iterations)
        return {**found, "passes": {"gradient": found["evaluations"]}}
    if task == "train":
        training.epoch(side, problem.model(), problem.examples(), batch_size=sizes.batch)
        return {"passes": {"gradient": 1}}
    matrix = curvature.operator(side, problem)
    if task == "trace":
        value, chance = curvature.trace_of(side, matrix, sizes.products)
        return {"value": value, "chance": chance, "passes": {"product": sizes.products}}
    (values, _), products = curvature.top5(side, matrix, steps, sizes.tol)
    return {"eigenvalues": sorted(values.tolist(), reverse=True), "passes": {"product": products}}


def turn(task: str, side: str, network: str, sizes: Sizes, steps: int) -> Row:
    """One turn, in a process of its own, warmed up on a few images."""
    if side == "sharpmin":
        runtime.tune(threads=torch.get_num_threads())
    if task == "growth":
        return growth.turn(side, quick=sizes == QUICK)
    few = Sizes(WARM_UP, WARM_UP, points=1, plane_points=1, products=6, tol=0.5, batch=WARM_UP)
    work(LIGHTER.get(task, task), side, network, few)
    found, seconds, cpu = clocked(lambda: work(task, side, network, sizes, steps))
    row = {"seconds": seconds, "cpu": cpu, "peak_bytes": peak_bytes(), **found}
    if task == "train":
        row["loss"] = training.loss_without_chance(side, Problem(network, sizes.images))
    return row


def disagreement(task: str, theirs: Row, ours: Row) -> str:
    """What a side says otherwise than sharpmin; "" where it agrees."""
    if task in ("path", "plane"):
        same = landscape.same_losses(task, theirs["side"], np.array(theirs["losses"]), np.array(ours["losses"]))
        return "" if same else "the losses differ by more than 1e-4"
    if "loss" in ours and abs(theirs["loss"] - ours["loss"]) > 1e-4:
        return f"a loss is {theirs['loss']:.6f}, not {ours['loss']:.6f}"
    if task == "metric" and abs(theirs["value"] - ours["value"]) > 0.02 * abs(ours["value"]):
        return f"Metric 2.1 is {theirs['value']:.4g}, not {ours['value']:.4g}"
    if task == "top5" and not np.allclose(theirs["eigenvalues"], ours["eigenvalues"], rtol=0.02):
        return f"the eigenvalues are {show(theirs['eigenvalues'])}, not {show(ours['eigenvalues'])}"
    if task == "trace" and abs(theirs["value"] - ours["value"]) > theirs["chance"] + ours["chance"]:
        return f"the trace is {theirs['value']:.4g}, not {ours['value']:.4g}, and that is not chance"
    return ""


def show(values: list[float]) -> str:
    """Numbers to read."""
    return ", ".join(f"{value:.4g}" for value in values)


def missing(side: str) -> bool:
    """Whether a side is of a library that is not installed."""
    return side in PACKAGES and importlib.util.find_spec(PACKAGES[side][0]) is None


def rounds(tasks: list[str], options: argparse.Namespace) -> list[Row]:
    """Every turn, the sides by turns."""
    rows: list[Row] = []
    for task in tasks:
        for number in range(options.repeats):
            steps = 0
            for side in [side for side in SIDES[task] if not missing(side)]:
                row = {"task": task, "round": number, "side": side, **ask(task, side, options, steps)}
                steps = row["passes"].get("product", 0) if side == "sharpmin" else steps
                rows.append(row)
                print(f"{task} {side}: {row['seconds']:.2f} s", file=sys.stderr, flush=True)
    return rows


def ask(task: str, side: str, options: argparse.Namespace, steps: int = 0) -> Row:
    """Have a new process take a turn."""
    chosen = ("--network", options.network, "--images", options.images, "--threads", options.threads)
    quick = ["--quick"] * options.quick
    return answer_of(__file__, "--worker", side, "--task", task, "--steps", steps, *chosen, *quick)


def judged(rows: list[Row]) -> tuple[list[Row], dict[str, str]]:
    """The rows that agree with sharpmin's of their round, and why the others do not, by name."""
    reasons = {}
    for row in rows:
        same = {"task": row["task"], "round": row["round"], "side": "sharpmin"}
        ours = next(other for other in rows if same.items() <= other.items())
        if reason := disagreement(row["task"], row, ours):
            reasons[f"{row['task']}_{row['side']}"] = reason
    return [row for row in rows if f"{row['task']}_{row['side']}" not in reasons], reasons


def flops(network: str, images: int = 8) -> dict[str, float]:
    """Floating-point operations for an image: of a forward pass, of a gradient, of a product (twice a gradient's)."""
    problem = Problem(network, images)
    model, examples = problem.model(), problem.examples()
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        model(examples.inputs)
    with FlopCounterMode(display=False) as both:
        F.cross_entropy(model(examples.inputs), examples.targets).backward()
    each = both.get_total_flops() / images
    return {"forward": forward.get_total_flops() / images, "gradient": each, "product": 2 * each}


def shares(rows: list[Row], per_image: dict[str, float], sizes: Sizes, peak: float) -> dict[str, dict[str, float]]:
    """Matrix products' and convolutions' operations a second over the measured peak, by name."""
    found: dict[str, list[float]] = {}
    for row in rows:
        images = sizes.curvature_images if row["task"] in ("top5", "trace") else sizes.images
        operations = images * sum(count * per_image[what] for what, count in row["passes"].items())
        found.setdefault(f"{row['task']}_{row['side']}", []).append(operations / row["seconds"] / peak / 1e9)
    return {name: summary(each) for name, each in found.items()}


def compare(options: argparse.Namespace) -> None:
    """Run everything, write the JSON, print the table."""
    sizes = sizes_of(options)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    peak = matmul_gflops(torch.float32, sizes.matmuls)
    rows = rounds([task for task in options.tasks if task in SIDES], options)
    agreeing, reasons = judged(rows)
    per_image = flops(options.network)
    found = {**report(agreeing), "share_of_matmul_peak": shares(agreeing, per_image, sizes, peak)}
    left_out = {side: f"pip install {package}" for side, (_, package) in PACKAGES.items() if missing(side)}
    print(table(found))
    for name, reason in reasons.items():
        print(f"{name}: no ratio, for {reason}")
    for side, command in left_out.items():
        print(f"{side} is not installed and left out: {command}")
    grown = grow(options) if "growth" in options.tasks else {}
    if options.quick:
        print("--quick: a smoke test at sizes too small to say anything about speed")
    versions = {package: version(package) for side, (_, package) in PACKAGES.items() if not missing(side)}
    head: dict[str, Any] = {
        "environment": {**runtime.environment(device=torch.device("cpu")), **versions},
        **{name: getattr(options, name) for name in ("network", "repeats", "quick")},
        "sizes": asdict(sizes),
        "matmul_gflops": peak,
        "flops_per_image": per_image,
        "left_out": left_out,
        "disagreements": reasons,
    }
    options.json.write_text(json.dumps({**head, **found, "growth": grown, "turns": rows}, indent=2) + "\n")


def grow(options: argparse.Namespace) -> dict[str, Any]:
    """The growth of a path's seconds, printed and drawn."""
    sides = [side for side in SIDES["path"] if not missing(side)]
    turns = [{"side": side, **ask("growth", side, options)} for _ in range(options.repeats) for side in sides]
    found = growth.fitted(turns)
    print(growth.table(found))
    if options.figure is not None:
        growth.draw(found, options.figure)
    return found


def sizes_of(options: argparse.Namespace) -> Sizes:
    """What the command line asks for."""
    return QUICK if options.quick else Sizes(images=options.images)


def main() -> None:
    """Parse the command line; a worker's is for this script's own use."""
    everything = [*SIDES, "growth"]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="where to write every number")
    parser.add_argument("--figure", type=Path, help="where to draw the growth")
    parser.add_argument("--network", choices=("F1", "C1"), default="C1")
    parser.add_argument("--images", type=int, default=Sizes.images, help="of paths, planes, Metric 2.1 and training")
    parser.add_argument("--tasks", nargs="+", choices=everything, default=everything)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=runtime.available_processors())
    parser.add_argument("--quick", action="store_true", help="a smoke test at tiny sizes, one round")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--task", choices=everything, help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.worker and options.task:
        print(json.dumps(turn(options.task, options.worker, options.network, sizes_of(options), options.steps)))
        return
    if options.json is None or options.repeats < 1 or options.images < 2 * WARM_UP:
        parser.error(f"give --json FILE, at least 1 repeat, and at least {2 * WARM_UP} images")
    if options.quick:
        options.repeats = 1
    compare(options)


if __name__ == "__main__":
    main()
