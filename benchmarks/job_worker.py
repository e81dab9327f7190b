"""One side of benchmarks/original_job.py in a process of its own: the plain port, or sharpmin.

The allocator is set per process, hence the processes. A worker warms up, then measures once for every line it
is sent; every answer is a line of JSON.
"""

import json
import math
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plain_port
import torch
from turns import Row, peak_bytes

from sharpmin import data, runtime, zoo
from sharpmin.arithmetic import Precision
from sharpmin.data import Examples, Split
from sharpmin.landscape.paths import default_alphas
from sharpmin.objective import Objective
from sharpmin.paper import parametric
from sharpmin.paper.jobs import Job
from sharpmin.train_config import TrainConfig
from sharpmin.training import train

SIDES = ("plain", "float32", "bfloat16")
TASKS = ("train256", "train5000", "evaluate5000", "job")
MOST_IMAGES = 50_000  # of one turn: CIFAR-10's training set


@dataclass(frozen=True)
class Sizes:
    """How much is measured: batches, the job's data and points, seconds of one turn, sizes of the matmuls."""

    small_batch: int = 256
    large_batch: int = 5000
    job_train: int = 2000
    job_test: int = 500
    job_points: int = 3
    seconds: float = 5.0
    matmuls: tuple[int, ...] = (2048, 3072, 4096)


QUICK = Sizes(small_batch=8, large_batch=32, job_train=32, job_test=16, seconds=0.1, matmuls=(256,))


class Plain:
    """The plain port."""

    def __init__(self) -> None:
        self.model = plain_port.c1()
        self.model.load_state_dict(zoo.build("C1", seed=0).state_dict())

    def train(self, examples: Examples, batch_size: int) -> None:
        """One epoch."""
        plain_port.train(self.model, (examples.inputs, examples.targets), batch_size=batch_size)

    def evaluate(self, examples: Examples) -> float:
        """The mean loss."""
        return plain_port.evaluate(self.model, (examples.inputs, examples.targets))[0]

    def job(self, split: Split, batch_sizes: tuple[int, int], points: int) -> dict[str, float]:
        """The whole job; seconds of its stages."""
        sets = [(part.inputs, part.targets) for part in (split.train, split.test)]
        return plain_port.parametric_plot(*sets, batch_sizes=batch_sizes, alphas=default_alphas(points))


class Sharpmin:
    """The library through its public calls, tuned as the command line tunes it."""

    def __init__(self, precision: Precision) -> None:
        runtime.tune()
        self.precision = precision
        self.model = zoo.build("C1", seed=0)

    def train(self, examples: Examples, batch_size: int) -> None:
        """One epoch."""
        train(self.model, examples, TrainConfig(batch_size=batch_size, epochs=1, precision=self.precision))

    def evaluate(self, examples: Examples) -> float:
        """The mean loss."""
        objective = Objective(self.model, examples, batch_norm="batch", precision=self.precision)
        return objective.measure(objective.theta).loss

    def job(self, split: Split, batch_sizes: tuple[int, int], points: int) -> dict[str, float]:
        """The whole job with its run folder; seconds of its stages. Evaluation is always float32."""
        small, large = (TrainConfig(batch_size=b, epochs=1, precision=self.precision) for b in batch_sizes)
        job = Job("C1", seed=0, small_batch=small, large_batch=large, points=points)
        with tempfile.TemporaryDirectory() as folder:
            return parametric.compute(job, split, runs=Path(folder), environment={})[0].seconds


def work(side_name: str, task: str, sizes: Sizes) -> None:
    """A worker: warm up, say so, then measure once for each line that comes; every answer is a line of JSON."""
    side = Plain() if side_name == "plain" else Sharpmin("bfloat16" if side_name == "bfloat16" else "float32")
    turn, units, ready = prepare(side, task, sizes)
    print(json.dumps({**ready, "units": units, "threads": torch.get_num_threads()}), flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        stages = turn()
        seconds = time.perf_counter() - began
        print(json.dumps({"seconds": seconds, "peak_bytes": peak_bytes(), "stages": stages}), flush=True)


def prepare(side: Plain | Sharpmin, task: str, sizes: Sizes) -> tuple[Callable[[], Any], int, Row]:
    """What a turn does, how many units (steps, passes or jobs) it does, and what the warm-up found."""
    if task == "job":
        split = data.synthetic(train=sizes.job_train, test=sizes.job_test)
        batches = (sizes.small_batch, min(sizes.large_batch, sizes.job_train))
        return lambda: side.job(split, batches, sizes.job_points), 1, {}
    batch = sizes.small_batch if task == "train256" else sizes.large_batch
    few = data.synthetic(train=batch, test=1).train
    if task == "evaluate5000":
        losses: list[float] = []
        most = MOST_IMAGES // batch
        units = units_in(sizes.seconds, lambda: losses.append(side.evaluate(few)), most=most)

        def passes() -> None:
            for _ in range(units):
                side.evaluate(few)

        return passes, units, {"loss": losses[-1]}
    units = units_in(sizes.seconds, lambda: side.train(few, batch), most=MOST_IMAGES // batch)
    again = torch.arange(units * batch) % batch
    epoch = Examples(few.inputs[again], few.targets[again])
    return lambda: side.train(epoch, batch), units, {}


def units_in(seconds: float, unit: Callable[[], object], *, most: int) -> int:
    """Warm up in whole units, three at least or `seconds`; how many of the fastest one's length `seconds` holds."""
    began, fastest, done = time.perf_counter(), math.inf, 0
    while done < 3 and time.perf_counter() - began < seconds:
        before = time.perf_counter()
        unit()
        fastest, done = min(fastest, time.perf_counter() - before), done + 1
    return min(most, math.ceil(seconds / fastest))
