"""The original script's job: train small-batch and large-batch from one x0, evaluate f between the minimizers.

Three steps that never mix: `compute` trains and evaluates, `save` and `load` keep the numbers, and
`sharpmin.plots` draws them. All training and every finished point live in a run folder, so that a killed job
goes on where it was and a finished one only draws.

Source: Keskar et al. 2017, Figures 3 and 7; the authors' `plot_parametric_plot.py`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from math import nan
from pathlib import Path as File
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sharpmin.combination import Combination
from sharpmin.data import Split
from sharpmin.data.record import described
from sharpmin.disk import read_json, write_json
from sharpmin.distributed.group import ALONE, Group
from sharpmin.errors import RunError, UsageError
from sharpmin.history import Epoch, State
from sharpmin.landscape.paths import Kind, Path, between_ends, check_kind, default_alphas
from sharpmin.memory import check_fits, memory_on
from sharpmin.objective import DEFAULT_BATCH, Objective
from sharpmin.paper.minimizers import solve
from sharpmin.progress import Progress, silent
from sharpmin.runs import Run, open_run
from sharpmin.train_config import TrainConfig
from sharpmin.weights import layout
from sharpmin.zoo import build

SMALL, LARGE = "small_batch", "large_batch"
FORMAT = 1


@dataclass(frozen=True)
class Job:
    """Everything that determines the numbers of a parametric plot, beside the data themselves.

    Attributes:
        network: a network of the paper.
        seed: of x0, and of the data subsets where there are any.
        small_batch: how the small-batch solution is trained.
        large_batch: how the large-batch solution is trained.
        train_size: size of the class-balanced training subset, or None for all.
        path: "line" (Figure 3) or "arc" (Figure 7).
        points: alphas from -1 to 2.
        evaluation_batch: examples BatchNorm normalises together in evaluation.
        test_size: size of the class-balanced test subset, or None for all.

    """

    network: str
    seed: int
    small_batch: TrainConfig
    large_batch: TrainConfig
    train_size: int | None = None
    path: Kind = "line"
    points: int = 25
    evaluation_batch: int = DEFAULT_BATCH
    test_size: int | None = None

    def __post_init__(self) -> None:
        """Refuse what would fail only after hours of training."""
        check_kind(self.path)
        default_alphas(self.points)
        if self.evaluation_batch < 1:
            raise UsageError(f"evaluation batch {self.evaluation_batch}: it must be at least 1")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"seed {self.seed}: choose one from 0 to 2^63 - 1")


def check_points(points: int) -> None:
    """Raise a UsageError for a grid from -1 to 2 that passes by the minimizers: nothing would be known of them.

    Example:
        >>> check_points(9)
        Traceback (most recent call last):
            ...
        sharpmin.errors.UsageError: 9 points from -1 to 2 leave out the minimizers at 0 and 1: choose 7 or 10

    """
    default_alphas(points)
    if beyond := (points - 1) % 3:
        lower = points - beyond
        near = f"{lower} or {lower + 3}" if lower > 1 else f"{lower + 3}"
        raise UsageError(f"{points} points from -1 to 2 leave out the minimizers at 0 and 1: choose {near}")


def check_batches(job: Job, *, give: str) -> None:
    """Raise a UsageError where the large batch is the smaller one, or as small: a verdict would be turned round.

    Args:
        job: the pair.
        give: what to choose otherwise, as the end of a sentence.

    """
    small, large = job.small_batch.batch_size, job.large_batch.batch_size
    if large <= small:
        raise UsageError(f"the large batch of {large} is not larger than the small batch of {small}: give {give}")


@dataclass(frozen=True)
class Point:
    """Loss and accuracy (a fraction; NaN where the loss is) on both sets at one alpha."""

    alpha: float
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float


@dataclass(frozen=True)
class ParametricPlot:
    """Every number of the figure, and what it was made from.

    Attributes:
        job: the settings.
        data: name and source of the data set, sizes, and whether it is synthetic.
        points: the curve, by alpha.
        final: the last epoch of both trainings.
        environment: versions and hardware the run began on; all of them are in its environment.json.
        seconds: how long training (both) and evaluation took, summed over interruptions.

    """

    job: Job
    data: dict[str, Any]
    points: tuple[Point, ...]
    final: dict[str, Epoch]
    environment: dict[str, Any]
    seconds: dict[str, float]

    def curve(self, part: Literal["train", "test"]) -> Path:
        """The curve on one of the two sets."""
        return Path(
            kind=self.job.path,
            alphas=tuple(point.alpha for point in self.points),
            losses=tuple(getattr(point, f"{part}_loss") for point in self.points),
            accuracies=tuple(getattr(point, f"{part}_accuracy") for point in self.points),
            examples=self.data[part],
            batch_norm="batch",
            batch_size=self.job.evaluation_batch,
            precision="float32",
        )


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
    run = open_run(runs, job.network, settings(job, data, torch.device(device)))
    began_in = run.note_environment(environment)
    model = starting_point(job, split, run)
    large_batch = max(job.small_batch.batch_size, job.large_batch.batch_size)
    if not all((run.folder / f"{name}.safetensors").exists() for name in (SMALL, LARGE)):
        check_fits(
            model,
            split.train.inputs[0],
            large_batch,
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


def settings(job: Job, data: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """What names the run folder: all that training depends on, and nothing that only drawing does."""
    training = {key: value for key, value in asdict(job).items() if key not in ("path", "points", "evaluation_batch")}
    if job.test_size is None:
        del training["test_size"]  # folders made before it could be named stay theirs
    training |= {SMALL: job.small_batch.settings(), LARGE: job.large_batch.settings()}
    same_bytes = {key: value for key, value in data.items() if key != "source"}
    return {"format": FORMAT, **training, "data": same_bytes, "device": device.type}


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
    name = rows_of(job)
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


def rows_of(job: Job) -> str:
    """The file of the rows of the curve."""
    return f"{job.path}-{job.points}-{job.evaluation_batch}.jsonl"


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


def save(plot: ParametricPlot, file: File) -> None:
    """Write every number of the figure as JSON (NaN and Infinity as Python spells them)."""
    write_json(file, asdict(plot))


def load(file: File) -> ParametricPlot:
    """Read what `save` wrote.

    Raises:
        RunError: the file cannot be read or is not such a file.

    """
    raw = read_json(file)
    try:
        job = raw["job"]
        configs = {name: TrainConfig.of(job[name]) for name in (SMALL, LARGE)}
        return ParametricPlot(
            **{
                **raw,
                "job": Job(**{**job, **configs}),
                "points": tuple(Point(**point) for point in raw["points"]),
                "final": {name: Epoch(**epoch) for name, epoch in raw["final"].items()},
            }
        )
    except (KeyError, TypeError, AttributeError, UsageError) as error:
        raise RunError(
            f"{file} is not a parametric plot's JSON ({error}): give one that sharpmin plot wrote"
        ) from error


def summary(plot: ParametricPlot) -> str:
    """The two minimizers in a line each, where the grid has them."""
    names = {0.0: "small batch", 1.0: "large batch"}
    return "\n".join(
        f"alpha = {point.alpha:.0f}  {names[point.alpha]}:  "
        f"train loss {point.train_loss:.4f}, accuracy {100 * point.train_accuracy:.2f}%;  "
        f"test loss {point.test_loss:.4f}, accuracy {100 * point.test_accuracy:.2f}%"
        for point in plot.points
        if point.alpha in names
    )
