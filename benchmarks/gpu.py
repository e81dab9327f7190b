"""Training on a GPU: a plain loop, sharpmin step by step, and sharpmin with recorded steps; and Metric 2.1.

    python benchmarks/gpu.py --json FILE [--repeats 5] [--networks F1 C1 ...]

Sides: `plain`, the loop that one writes on a first day (channels first, PyTorch's default Adam, `loss.item()` in each
step, the data already on the GPU); `steps`, sharpmin's step kernel by kernel; `recorded`, the same as a CUDA graph.
They take turns in one process, on random data of the paper's shapes. A ratio pairs two turns of one round.

Then Metric 2.1 at x0 in both spaces over a part of the training set: its seconds, and those of one f with gradient.
docs/gpu.md says how to read it.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from turns import Row, shown, summary

from sharpmin import TrainConfig, runtime, zoo
from sharpmin.arithmetic import matrix_unit
from sharpmin.data import Examples
from sharpmin.measures import sharpness
from sharpmin.objective import Objective
from sharpmin.optimizers import make
from sharpmin.recorded import BEFORE, Recorded
from sharpmin.remedies.composition import gradient_of
from sharpmin.training import train_step

CUDA = torch.device("cuda")
IMAGE = (3, 32, 32)
SHAPES = {"F1": ((784,), 10), "C1": (IMAGE, 10), "C3": (IMAGE, 100), "C2": (IMAGE, 10), "C4": (IMAGE, 100)}
SHAPES |= {"F2": ((360,), 1973)}  # last, for it takes longest
LARGE = {"F1": 6000, "F2": 72133}  # else 5000; of F2's 721,329 frames a tenth
IMAGES = {"F1": 60000, "F2": 144266, "C2": 10000, "C4": 10000}  # of Metric 2.1, else 50,000
TURN = 0.25  # seconds
Work = Callable[[], Any]


def examples(network: str, count: int) -> Examples:
    """Random ones on the GPU."""
    shape, classes = SHAPES[network]
    random = torch.Generator(CUDA).manual_seed(0)
    inputs = torch.rand(count, *shape, device=CUDA, generator=random)
    return Examples(inputs, torch.randint(classes, (count,), device=CUDA, generator=random))


def built(network: str) -> nn.Sequential:
    """The network at x0 on the GPU."""
    shape, classes = SHAPES[network]
    return zoo.build(network, seed=0, shape=shape, classes=classes).to(CUDA).train()


def plain(network: str, data: Examples, precision: str, picked: Tensor) -> Work:
    """A step of the plain loop."""
    model = built(network)
    adam = torch.optim.Adam(model.parameters())

    def step() -> None:
        with matrix_unit(precision, CUDA), torch.autocast("cuda", torch.bfloat16, enabled=precision == "bfloat16"):  # type: ignore[arg-type]
            loss = F.cross_entropy(model(data.inputs[picked]).float(), data.targets[picked])
        adam.zero_grad()
        loss.backward()
        adam.step()
        loss.item()

    return step


def ours(network: str, data: Examples, precision: str, picked: Tensor, *, recorded: bool) -> Work:
    """A step of sharpmin's training."""
    model = built(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    gradient = gradient_of(model, TrainConfig(precision=precision), device=CUDA)  # type: ignore[arg-type]
    step = partial(train_step, model, data, gradient, make("adam", model, learning_rate=1e-3))
    return partial(Recorded(step, size=len(picked)) if recorded else step, picked)


def seconds(work: Work, *, times: int) -> float:
    """Of one of several, until the GPU has done them."""
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(times):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / times


def training(network: str, batch: int, precision: str, repeats: int) -> Iterator[Row]:
    """The turns of one network, batch size and precision."""
    data, picked = examples(network, batch), torch.arange(batch, device=CUDA)
    sides = {
        "plain": plain(network, data, precision, picked),
        "steps": ours(network, data, precision, picked, recorded=False),
        "recorded": ours(network, data, precision, picked, recorded=True),
    }
    for work in sides.values():
        seconds(work, times=BEFORE + 3)
    times = max(3, int(TURN / seconds(sides["recorded"], times=3)))
    for number in range(repeats):
        for side, work in sides.items():
            row = {"network": network, "batch": batch, "precision": precision, "side": side, "round": number}
            yield {**row, "seconds": seconds(work, times=times)}


def metric(network: str, precision: str) -> Row:
    """Metric 2.1 at x0 in both spaces, and one f with its gradient."""
    count = IMAGES.get(network, 50000)
    f = Objective(built(network), examples(network, count), batch_norm="batch", device=CUDA, precision=precision)  # type: ignore[arg-type]
    row: Row = {"network": network, "precision": precision, "examples": count}
    f.value_and_grad(f.theta)
    row["f_and_gradient"] = seconds(lambda: f.value_and_grad(f.theta), times=3)
    for space, columns in (("full", None), ("subspace", 100)):
        torch.cuda.synchronize()
        began = time.perf_counter()
        found = sharpness(f, subspace=columns)
        torch.cuda.synchronize()
        row |= {space: time.perf_counter() - began, f"{space}_evaluations": found.evaluations}
    return row


def report(rows: list[Row]) -> Row:
    """Images/s and ratios by name, `<network>_<batch>_<precision>_<side>`."""
    found: Row = {"images_per_s": {}, "ratio_to_plain": {}}
    keys = ("network", "batch", "precision")
    for case in dict.fromkeys(tuple(row[key] for key in keys) for row in rows):
        turns = [row for row in rows if tuple(row[key] for key in keys) == case]
        by_side = {
            side: [row["seconds"] for row in turns if row["side"] == side] for side in ("plain", "steps", "recorded")
        }
        for side, each in by_side.items():
            name = "_".join(map(str, (*case, side)))
            found["images_per_s"][name] = summary(case[1] / s for s in each)
            found["ratio_to_plain"][name] = summary(p / s for p, s in zip(by_side["plain"], each, strict=True))
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, help="where to write every number")
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--networks", nargs="+", choices=SHAPES, default=list(SHAPES), help="which")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("PyTorch sees no CUDA device here")
    rows: list[Row] = []
    metrics: list[Row] = []
    head = {"environment": runtime.environment(device=CUDA), "repeats": options.repeats}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    for network in options.networks:
        for precision in ("float32", "tf32", "bfloat16"):
            for batch in (256, LARGE.get(network, 5000)):
                rows += training(network, batch, precision, options.repeats if batch == 256 else 3)
                torch.cuda.empty_cache()
            if precision != "bfloat16":
                metrics.append(metric(network, precision))
                torch.cuda.empty_cache()
        found = report(rows)
        options.json.write_text(json.dumps({**head, **found, "metric": metrics, "turns": rows}, indent=2) + "\n")
        print(network, flush=True)
    for name, rate in found["images_per_s"].items():
        print(f"{name:28}{rate['median']:>12.0f} images/s{shown(found['ratio_to_plain'][name]):>28}")
    for row in metrics:
        print(row)


if __name__ == "__main__":
    main()
