"""Hessian products and a top-5 spectrum of C1: hessian-eigenthings and curvlinops beside sharpmin.

    python benchmarks/curvature.py --json FILE [--images 2000] [--repeats 3] [--top5-repeats 1] [--patience 4]

Sides: `eigenthings` and `curvlinops` as their users have them; the same with this package's allocator settings
(`..._tuned`); and `sharpmin` as its command line runs it. All have C1 at one starting point and the same images as one
batch, whose statistics normalise. Tasks: `product`, two Hessian-vector products, of which sharpmin's first also builds
what it keeps; `top5`, the five largest eigenvalues to a relative residual of `--tol`.

In `top5` curvlinops means SciPy's eigsh on its operator with that tolerance, and hessian-eigenthings its own Lanczos,
fully re-orthogonalised, which has to be told its steps: it is told as many as sharpmin needed. The residuals reported
are measured afterwards, outside the clock, all with the same products. `--patience 4` stops a side after four times
sharpmin's seconds; its ratio is then a lower bound, and said to be one. Each turn is a process of its own, one at a
time, warmed up on few images; sides take turns. A ratio is a side's seconds over sharpmin's of the same round.
docs/curvature.md says how to read the JSON.
"""

import argparse
import json
import math
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from sides.curvature import operator, relative_residuals, top5
from sides.problem import Problem
from torch import Tensor
from turns import Row, answer_of, clocked, peak_bytes, report, table

from sharpmin import runtime

SIDES = ("sharpmin", "eigenthings", "curvlinops", "eigenthings_tuned", "curvlinops_tuned")
TOP5_SIDES = ("sharpmin", "eigenthings", "curvlinops")
WARM_UP = 64  # images
WEIGHTS = 1_757_834  # of C1


def turn(side: str, task: str, images: int, steps: int, tol: float, limit: float) -> Row:
    """One turn, in a process of its own."""
    torch.set_num_threads(runtime.available_processors())
    if side == "sharpmin" or side.endswith("_tuned"):
        runtime.tune()
    v = torch.randn(WEIGHTS, generator=torch.Generator().manual_seed(0))
    operator(side, Problem("C1", WARM_UP)) @ v
    problem = Problem("C1", images)
    return products(operator(side, problem), v) if task == "product" else largest(side, problem, steps, tol, limit)


@contextmanager
def stopped_after(seconds: float) -> Iterator[None]:
    """End this process when so many seconds have passed, with an answer that says so."""
    row: Row = {"seconds": {"top5": seconds}, "stopped": True}

    def stop() -> None:
        print(json.dumps({**row, "cpu": {"top5": time.process_time() - cpu}, "peak_bytes": peak_bytes()}), flush=True)
        os._exit(0)

    cpu, timer = time.process_time(), threading.Timer(seconds, stop)
    timer.daemon = True
    if math.isfinite(seconds):
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def products(matrix: Any, v: Tensor) -> Row:
    """Two products with a vector, and what shows that all sides multiply the same matrix."""
    product, first, cpu_first = clocked(lambda: matrix @ v)
    _, following, cpu_following = clocked(lambda: matrix @ v)
    seconds, cpu = {"first": first, "next": following}, {"first": cpu_first, "next": cpu_following}
    along, norm = (v @ product).item(), product.norm().item()
    return {"seconds": seconds, "cpu": cpu, "peak_bytes": peak_bytes(), "along": along, "norm": norm}


def largest(side: str, problem: Problem, steps: int, tol: float, limit: float) -> Row:
    """The five largest eigenvalues, and how good they are."""
    matrix = operator(side, problem)
    with stopped_after(limit):
        (pairs, count), seconds, cpu = clocked(lambda: top5(side, matrix, steps, tol))
    peak, values = peak_bytes(), sorted(pairs[0].tolist(), reverse=True)
    row = {"seconds": {"top5": seconds}, "cpu": {"top5": cpu}, "peak_bytes": peak, "products": count}
    return {**row, "eigenvalues": values, "relative_residuals": relative_residuals(problem, pairs)}


def ask(side: str, task: str, options: argparse.Namespace, *, steps: int = 0, limit: float = math.inf) -> Row:
    """Have a new process take a turn."""
    arguments = ("--worker", side, "--task", task, "--images", options.images, "--steps", steps, "--tol", options.tol)
    row = {"side": side, "task": task, **answer_of(__file__, *arguments, "--limit", limit)}
    print(f"{task} {side}: {row['seconds']}", file=sys.stderr, flush=True)
    return row


def rounds(options: argparse.Namespace) -> list[Row]:
    """Every turn, the sides by turns."""
    rows = [{"round": number, **ask(side, "product", options)} for number in range(options.repeats) for side in SIDES]
    for number in range(options.top5_repeats):
        ours = ask("sharpmin", "top5", options)
        limit = math.inf if options.patience is None else options.patience * ours["seconds"]["top5"]
        theirs = [ask(side, "top5", options, steps=ours["products"], limit=limit) for side in TOP5_SIDES[1:]]
        rows += [{"round": number, **row} for row in (ours, *theirs)]
    return rows


def timings(rows: list[Row]) -> list[Row]:
    """A row for everything that was timed in a turn, the sides in order."""
    names = {"first": "first_product", "next": "next_product", "top5": "top5"}
    return [
        {**row, "task": names[what], "seconds": row["seconds"][what], "cpu": row["cpu"][what]}
        for side in SIDES
        for what in names
        for row in rows
        if row["side"] == side and what in row["seconds"]
    ]


def check_same_product(rows: list[Row]) -> None:
    """Stop where the sides did not multiply the same matrix: v . A v and |A v| within 1%.

    In float32 a rounding turns a ReLU or a pool here and there, and each is a small part of the Hessian: PyTorch's own
    products in float32 and float64 differ by some 1e-3. And curvlinops is a little wrong in the rows of BatchNorm's
    scales (tests/products/test_oracles.py).
    """
    for key in ("along", "norm"):
        values = {row["side"]: row[key] for row in rows if key in row}
        if values and max(values.values()) - min(values.values()) > 0.01 * max(abs(v) for v in values.values()):
            raise SystemExit(f"the sides disagree on {key}, so their speeds cannot be compared: {values}")


def compare(options: argparse.Namespace) -> None:
    """Run everything, write the JSON, print the table."""
    if options.quick:
        options.images, options.repeats, options.top5_repeats = WARM_UP, 1, 1
    options.json.parent.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(runtime.available_processors())
    rows = rounds(options)
    check_same_product(rows)
    found = report(timings(rows))
    print(table(found))
    for row in rows:
        if row.get("stopped"):
            print(f"{row['side']} was stopped after {row['seconds']['top5']:.0f} s: it is slower than its ratio says")
    if options.quick:
        print("--quick: a smoke test at a size too small to say anything about speed")
    named = ("images", "repeats", "top5_repeats", "tol", "patience", "quick")
    sizes = {name: getattr(options, name) for name in named}
    head = {"environment": runtime.environment(device=torch.device("cpu")), **sizes}
    options.json.write_text(json.dumps({**head, **found, "turns": rows}, indent=2) + "\n")


def main() -> None:
    """Parse the command line; a worker's is for this script's own use."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="where to write every number")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3, help="rounds of `product`")
    parser.add_argument("--top5-repeats", type=int, default=1, help="rounds of `top5`, the long one")
    parser.add_argument("--tol", type=float, default=1e-3, help="relative residual of `top5`")
    parser.add_argument("--patience", type=float, help="stop a side's `top5` at so many times ours")
    parser.add_argument("--quick", action="store_true", help="a smoke test at a tiny size")
    parser.add_argument("--worker", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--task", choices=("product", "top5"), help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=float, default=math.inf, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker and options.task:
        print(json.dumps(turn(options.worker, options.task, options.images, options.steps, options.tol, options.limit)))
        return
    if options.json is None or options.repeats + options.top5_repeats < 1:
        parser.error("give --json FILE, and at least 1 repeat")
    compare(options)


if __name__ == "__main__":
    main()
