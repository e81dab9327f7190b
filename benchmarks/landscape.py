"""A path of 25 points and a plane of 25 x 25 on C1: loss-landscapes and a plain PyTorch loop beside sharpmin.

    python benchmarks/landscape.py --json FILE [--images 5000] [--points 25] [--plane-points 25] [--repeats 3] [--quick]

Sides: `sharpmin` as its command line runs it; `plain`, a loop over batches of 5000 and PyTorch's own layers, as one
would write it on a first day, the weights set at each point; `loss-landscapes` (PyPI), its `linear_interpolation` and
`planar_interpolation` with a metric that goes over the same batches; and the last two again with this package's
allocator settings (`..._tuned`). All evaluate C1 on the same random images of CIFAR-10's shape, at the same points:
between two starting points, and on the plane through three. loss-landscapes is optional:

    pip install loss-landscapes

Where it is missing its sides are left out, and the JSON says so.

Each turn is a process of its own, warmed up on one point, one at work at a time; sides take turns. A ratio is a side's
seconds over sharpmin's of the same round. Before anything is reported, all sides must agree on every loss within 1e-4.

loss-landscapes 3.0.6 does not evaluate the grid that its documentation names: see sides/landscape.py.
docs/benchmarks.md says how to read such JSON.
"""

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sides.landscape import MAKERS, same_losses
from sides.problem import Problem
from turns import Row, answer_of, clocked, peak_bytes, report, table

from sharpmin import runtime

SIDES = ("sharpmin", "plain", "loss-landscapes", "plain_tuned", "loss-landscapes_tuned")
TASKS = ("path", "plane")
INSTALL = "pip install loss-landscapes"
Losses = Callable[[int], np.ndarray]


def turn(side: str, task: str, images: int, points: int) -> Row:
    """One turn, in a process of its own."""
    torch.set_num_threads(runtime.available_processors())
    if side == "sharpmin" or side.endswith("_tuned"):
        runtime.tune()
    work: Losses = getattr(MAKERS[side.removesuffix("_tuned")](Problem("C1", images)), task)
    work(1)
    losses, seconds, cpu = clocked(lambda: work(points))
    return {"seconds": seconds, "cpu": cpu, "peak_bytes": peak_bytes(), "losses": losses.tolist()}


def ask(side: str, task: str, options: argparse.Namespace) -> Row:
    """Have a new process take a turn."""
    points = options.points if task == "path" else options.plane_points
    arguments = ("--worker", side, "--task", task, "--images", options.images, "--points", points)
    row = {"side": side, "task": task, **answer_of(__file__, *arguments)}
    print(f"{task} {side}: {row['seconds']:.1f} s", file=sys.stderr, flush=True)
    return row


def check_same_losses(rows: list[Row]) -> None:
    """Stop where the sides did not evaluate the same points of the same function, within 1e-4."""
    for task in TASKS:
        ours = next(np.array(row["losses"]) for row in rows if (row["side"], row["task"]) == ("sharpmin", task))
        for row in rows:
            if row["task"] == task and not same_losses(task, row["side"], np.array(row["losses"]), ours):
                raise SystemExit(f"{row['side']} disagrees on the losses of the {task}: speeds cannot be compared")


def compare(options: argparse.Namespace) -> None:
    """Run everything, write the JSON, print the table."""
    if options.quick:
        options.images, options.points, options.plane_points, options.repeats = 64, 3, 3, 1
    options.json.parent.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(runtime.available_processors())
    missing = importlib.util.find_spec("loss_landscapes") is None
    sides = [side for side in SIDES if not (missing and side.startswith("loss-landscapes"))]
    if missing:
        print(f"loss-landscapes is not installed ({INSTALL}): its sides are left out", file=sys.stderr)
    rows = [
        {"round": number, **ask(side, task, options)}
        for task in TASKS
        for number in range(options.repeats)
        for side in sides
    ]
    check_same_losses(rows)
    found = report(rows)
    print(table(found))
    if options.quick:
        print("--quick: a smoke test at a size too small to say anything about speed")
    sizes = {name: getattr(options, name) for name in ("images", "points", "plane_points", "repeats", "quick")}
    head = {"environment": runtime.environment(device=torch.device("cpu")), **sizes, "left_out": INSTALL * missing}
    options.json.write_text(json.dumps({**head, **found, "turns": rows}, indent=2) + "\n")


def main() -> None:
    """Parse the command line; a worker's is for this script's own use."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="where to write every number")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--points", type=int, default=25, help="of the path")
    parser.add_argument("--plane-points", type=int, default=25, help="along each side of the plane")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a smoke test at a tiny size")
    parser.add_argument("--worker", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker and options.task:
        print(json.dumps(turn(options.worker, options.task, options.images, options.points)))
        return
    if options.json is None or options.repeats < 1:
        parser.error("give --json FILE, and at least 1 repeat")
    compare(options)


if __name__ == "__main__":
    main()
