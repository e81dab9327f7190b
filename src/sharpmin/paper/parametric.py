"""The original script's job: train small-batch and large-batch from one x0, evaluate f between the minimizers.

Three steps that never mix: `compute` trains and evaluates, `sharpmin.paper.parametric_plot` keeps the numbers, and
`sharpmin.plots` draws them. All training and every finished point live in a run folder, so that a killed job
goes on where it was and a finished one only draws.

Source: Keskar et al. 2017, Figures 3 and 7; the authors' `plot_parametric_plot.py`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields
from functools import partial
from math import nan
from pathlib import Path as File
from typing import Any

import torch
from torch import Tensor, nn

from sharpmin.combination import Combination
from sharpmin.data import Split
from sharpmin.data.record import described
from sharpmin.distributed.group import ALONE, Group
from sharpmin.history import State
from sharpmin.landscape.paths import between_ends, default_alphas
from sharpmin.memory import check_fits, memory_on
from sharpmin.objective import Objective
from sharpmin.paper.jobs import LARGE, SMALL, Job
from sharpmin.paper.minimizers import solve
from sharpmin.paper.parametric_plot import ParametricPlot, Point
from sharpmin.progress import Progress, silent
from sharpmin.runs import Run, open_run
from sharpmin.weights import layout
from sharpmin.zoo import build


def compute(
    job: Job,
    split: Split,
    *,
    runs: File,
    environment: dict[str, Any],
    device: torch.device | str = "cpu",
    progress: Progress = silent,
    group: Group = ALONE,
) -> tuple[ParametricPlot, Run]:
    """Train what is not yet trained, evaluate what is not yet evaluated, and collect the numbers.

    Args:
        job: the settings.
        split: the data, already cut to the job's sizes.
        runs: the folder below which the run folder lies.
        environment: recorded with the run.
        device: where to compute.
        progress: told how far each part is.
        group: processes that do it together.

    Returns:
        The numbers, and the run folder they lie in.

    Raises:
        SharpminError: see `sharpmin.errors`; what was finished is kept.

    """
    data = described(split)
    run = open_run(runs, job.network, job.settings(data, torch.device(device)))
    began_in = run.note_environment(environment)
    model = starting_point(job, split, run)
    large_batch = max(job.small_batch.batch_size, job.large_batch.batch_size)
    if not all((run.folder / f"{name}.safetensors").exists() for name in (SMALL, LARGE)):
        check_fits(
            model,
            split.train.inputs[0],
            large_batch,
            device=device,
            available=memory_on(device),
            processes=group.size,
            flag="--large-batch",
        )
    solutions = {
        name: solve(run, name, network(job, split), split, config, device=device, progress=progress, group=group)
        for name, config in ((SMALL, job.small_batch), (LARGE, job.large_batch))
    }
    thetas = [layout(model).flatten(solutions[name].weights) for name in (SMALL, LARGE)]
    rows = evaluate(run, job, split, model, *thetas, device=device, progress=progress, group=group)
    return collect(job, data, rows, solutions, began_in), run


def starting_point(job: Job, split: Split, run: Run) -> nn.Sequential:
    """The network at x0, and x0 in the run folder."""
    model = network(job, split)
    if not (run.folder / "x0.safetensors").exists():
        run.save("x0", {name: p.detach() for name, p in model.named_parameters()})
    return model


def network(job: Job, split: Split) -> nn.Sequential:
    """The job's network at x0, in the shape of the data."""
    return build(job.network, seed=job.seed, shape=split.train.inputs.shape[1:], classes=split.classes)


def evaluate(
    run: Run,
    job: Job,
    split: Split,
    model: nn.Module,
    theta_small: Tensor,
    theta_large: Tensor,
    *,
    device: torch.device | str,
    progress: Progress,
    group: Group = ALONE,
) -> list[dict[str, float]]:
    """The rows of the curve; each is kept as soon as it is computed."""
    name = job.grid.file
    rows = run.read_lines(name, (*(field.name for field in fields(Point)), "seconds"))
    alphas = default_alphas(job.points)[len(rows) :]
    theta = partial(between_ends, theta_small, theta_large, kind=job.path)
    began = time.perf_counter()
    for point in curve(model, split, alphas, theta, batch_size=job.evaluation_batch, device=device, group=group):
        rows.append({**asdict(point), "seconds": time.perf_counter() - began})
        run.write_lines(name, rows)
        note = f"alpha {point.alpha:+.3f}, train loss {point.train_loss:.4f}"
        progress(f"evaluate {job.path}", len(rows), job.points, unit="points", note=note)
        began = time.perf_counter()
    return rows


def curve(
    model: nn.Module,
    split: Split,
    alphas: Sequence[float],
    theta: Callable[[float], Combination],
    *,
    batch_size: int,
    device: torch.device | str,
    group: Group = ALONE,
) -> Iterator[Point]:
    """The points at some alphas, one after the other; always in float32."""
    on_train, on_test = (
        Objective(
            model, examples, batch_norm="batch", batch_size=batch_size, device=device, group=group
        ).measure_groups(map(theta, alphas), together=1)
        for examples in (split.train, split.test)
    )
    for alpha, (train_one,), (test_one,) in zip(alphas, on_train, on_test, strict=True):
        hits, test_hits = (nan if one.accuracy is None else one.accuracy for one in (train_one, test_one))
        yield Point(alpha, train_one.loss, hits, test_one.loss, test_hits)


def collect(
    job: Job,
    data: dict[str, Any],
    rows: list[dict[str, float]],
    solutions: dict[str, State],
    environment: dict[str, Any],
) -> ParametricPlot:
    """Put the numbers of the figure together."""
    seconds = {name: sum(epoch.seconds for epoch in state.history) for name, state in solutions.items()}
    return ParametricPlot(
        job=job,
        data=data,
        points=tuple(Point(**{field.name: row[field.name] for field in fields(Point)}) for row in rows),
        final={name: state.history[-1] for name, state in solutions.items()},
        environment=environment,
        seconds={**seconds, "evaluation": sum(row["seconds"] for row in rows)},
    )
