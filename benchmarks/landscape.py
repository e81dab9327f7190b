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

loss-landscapes 3.0.6 does not evaluate the grid that its documentation names. Its lines begin one step after the start;
so do its planes along the second direction, but for every second line of points, which is displaced by a step. The
other sides evaluate its undisplaced points, and of the displaced lines those points are compared that both have.
docs/benchmarks.md says how to read such JSON.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import plain_port
import torch
from curvature import clocked, summary
from job_worker import peak_bytes
from torch import Tensor, nn
from torch.nn import functional as F

from sharpmin import data, runtime, zoo
from sharpmin.landscape import Grid, path, plane
from sharpmin.objective import Objective

SIDES = ("sharpmin", "plain", "loss-landscapes", "plain_tuned", "loss-landscapes_tuned")
TASKS = ("path", "plane")
INSTALL = "pip install loss-landscapes"
Row = dict[str, Any]
Losses = Callable[[int], np.ndarray]


def ends(count: int) -> list[nn.Module]:
    """C1 at so many starting points."""
    return [zoo.build("C1", seed=seed).eval() for seed in range(count)]


def steps(points: int) -> list[float]:
    """Where loss-landscapes evaluates: 1/points, 2/points, ..., 1."""
    return [(step + 1) / points for step in range(points)]


def mean_loss(model: Callable[[Tensor], Tensor], images: data.Examples) -> float:
    """Mean cross-entropy in batches of 5000."""
    total, size = 0.0, plain_port.EVALUATION_BATCH
    for inputs, targets in zip(images.inputs.split(size), images.targets.split(size), strict=True):
        total += F.cross_entropy(model(inputs), targets, reduction="sum").item()
    return total / len(images)


class Sharpmin:
    """The library through its public calls."""

    def __init__(self, images: data.Examples) -> None:
        models = ends(3)
        self.f = Objective(models[0], images, batch_norm="batch")
        self.thetas = [nn.utils.parameters_to_vector(m.parameters()).detach() for m in models]

    def path(self, points: int) -> np.ndarray:
        """The losses of a path."""
        return np.array(path(self.f, *self.thetas[:2], alphas=steps(points)).losses)

    def plane(self, points: int) -> np.ndarray:
        """The losses of a plane; rows go with the second direction."""
        start, first, second = self.thetas
        grid = Grid(tuple(step - 1 / points for step in steps(points)), tuple(steps(points)))
        return np.array(plane(self.f, start, first - start, second - start, grid=grid).losses)


class Plain:
    """A loop in plain PyTorch."""

    def __init__(self, images: data.Examples) -> None:
        self.images, models = images, ends(3)
        self.states = [model.state_dict() for model in models]
        self.model = plain_port.c1().eval()

    @torch.no_grad()
    def at(self, *shares: float) -> float:
        """The loss at a weighted sum of the ends."""
        mixed = {
            name: sum(share * state[name] for share, state in zip(shares, self.states, strict=False))
            for name in self.states[0]
        }
        self.model.load_state_dict(mixed)
        return mean_loss(self.model, self.images)

    def path(self, points: int) -> np.ndarray:
        """The losses of a path."""
        return np.array([self.at(1 - alpha, alpha) for alpha in steps(points)])

    def plane(self, points: int) -> np.ndarray:
        """The losses of a plane; rows go with the second direction."""
        alphas = [step - 1 / points for step in steps(points)]
        return np.array([[self.at(1 - a - b, a, b) for a in alphas] for b in steps(points)])


class LossLandscapes:
    """loss-landscapes with a metric that goes over the batches."""

    def __init__(self, images: data.Examples) -> None:
        import loss_landscapes
        from loss_landscapes.metrics import Metric

        class MeanLoss(Metric):
            """The loss over all batches."""

            def __call__(self, model_wrapper: Any) -> float:
                """Evaluate."""
                return mean_loss(model_wrapper.forward, images)

        self.library, self.metric = loss_landscapes, MeanLoss()

    def path(self, points: int) -> np.ndarray:
        """The losses of a path."""
        return self.library.linear_interpolation(*ends(2), self.metric, steps=points, deepcopy_model=True)

    def plane(self, points: int) -> np.ndarray:
        """The losses of a plane; rows go with the second direction."""
        return self.library.planar_interpolation(*ends(3), self.metric, steps=points, deepcopy_model=True).T


MAKERS: dict[str, Callable[[data.Examples], Any]] = {
    "sharpmin": Sharpmin,
    "plain": Plain,
    "loss-landscapes": LossLandscapes,
}


def turn(side: str, task: str, images: int, points: int) -> Row:
    """One turn, in a process of its own."""
    torch.set_num_threads(runtime.available_processors())
    if side == "sharpmin" or side.endswith("_tuned"):
        runtime.tune()
    examples = data.synthetic(train=images, test=1).train
    work: Losses = getattr(MAKERS[side.removesuffix("_tuned")](examples), task)
    work(1)
    losses, seconds, cpu = clocked(lambda: work(points))
    return {"seconds": seconds, "cpu": cpu, "peak_bytes": peak_bytes(), "losses": losses.tolist()}


def ask(side: str, task: str, options: argparse.Namespace) -> Row:
    """Have a new process take a turn."""
    points = options.points if task == "path" else options.plane_points
    command = [sys.executable, __file__, "--worker", side, "--task", task]
    command += ["--images", str(options.images), "--points", str(points)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    row = {"side": side, "task": task, **json.loads(answer.splitlines()[-1])}
    print(f"{task} {side}: {row['seconds']:.1f} s", file=sys.stderr, flush=True)
    return row


def check_same_losses(rows: list[Row]) -> None:
    """Stop where the sides did not evaluate the same points of the same function, within 1e-4."""
    for task in TASKS:
        ours = next(np.array(row["losses"]) for row in rows if (row["side"], row["task"]) == ("sharpmin", task))
        for row in rows:
            theirs, expected = np.array(row["losses"]), ours
            if row["task"] != task:
                continue
            if task == "plane" and row["side"].startswith("loss-landscapes"):
                theirs, expected = undisplaced(theirs, expected)
            if not np.allclose(theirs, expected, rtol=1e-4, atol=1e-4):
                raise SystemExit(f"{row['side']} disagrees on the losses of the {task}: speeds cannot be compared")


def undisplaced(theirs: np.ndarray, ours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points both have: of loss-landscapes' every second column all but the first, which lie a step lower."""
    pairs = [(theirs[1:, c], ours[:-1, c]) if c % 2 else (theirs[:, c], ours[:, c]) for c in range(theirs.shape[1])]
    return np.concatenate([one for one, _ in pairs]), np.concatenate([other for _, other in pairs])


def report(rows: list[Row]) -> dict[str, Any]:
    """Seconds by name, `<task>_<side>`, and the ratios to sharpmin by clock and by processor time."""
    found: dict[str, Any] = {"seconds": {}, "ratio": {}, "ratio_of_cpu_seconds": {}, "peak_memory_gib": {}}
    for task in TASKS:
        for side in SIDES:
            mine, ours = ([r for r in rows if (r["side"], r["task"]) == (s, task)] for s in (side, "sharpmin"))
            if not mine:
                continue
            name = f"{task}_{side}"
            found["seconds"][name] = summary(row["seconds"] for row in mine)
            found["peak_memory_gib"][name] = max(row["peak_bytes"] for row in mine) / 2**30
            if side != "sharpmin":
                for key, clock in (("ratio", "seconds"), ("ratio_of_cpu_seconds", "cpu")):
                    found[key][name] = summary(t[clock] / o[clock] for t, o in zip(mine, ours, strict=True))
    return found


def table(found: dict[str, Any]) -> str:
    """The numbers to read."""
    lines = [f"{'':30}{'seconds':>10}{'times sharpmin':>28}{'by processor time':>20}{'peak GiB':>10}"]
    for name, seconds in found["seconds"].items():
        ratio, cpu = found["ratio"].get(name), found["ratio_of_cpu_seconds"].get(name)
        shown = "{median:.2f} ({minimum:.2f}-{maximum:.2f}, n={n})".format(**ratio) if ratio else ""
        cpu_shown = f"{cpu['median']:.2f}" if cpu else ""
        memory = found["peak_memory_gib"][name]
        lines.append(f"{name:30}{seconds['median']:>10.2f}{shown:>28}{cpu_shown:>20}{memory:>10.2f}")
    return "\n".join(lines)


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
