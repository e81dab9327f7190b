"""What `sharpmin plane` evaluates, and how it goes on after a kill.

The points computed are lines of plane-HASH.jsonl or lines-HASH.jsonl in the run folder, the hash being that of
everything asked for; the first line is the grid. What they were computed from is not in the hash: a task's data, the
versions, the number of threads. So a command that finds points computes the first one again, and should it differ by a
bit, begins anew.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from sharpmin import landscape
from sharpmin.disk import readable
from sharpmin.ends import ends
from sharpmin.errors import UsageError
from sharpmin.landscape.directions import Normalisation
from sharpmin.landscape.grids import BuffersAt, between
from sharpmin.landscape.points import After
from sharpmin.measurement import Measurement
from sharpmin.objective import Objective
from sharpmin.progress import Progress
from sharpmin.runs import Run
from sharpmin.subjects import Subject


@dataclass(frozen=True)
class Asked:
    """What the command line asked for.

    Attributes:
        kind: "random", "checkpoints", "trajectory" or "lines".
        points: the names of the points that the plane goes through, or of the one it goes around.
        size: values along alpha and along beta.
        extent: the words of --range, or None.
        factor: of --range auto.
        on: "data" or "test".
        normalisation: of random directions.
        seed: of random directions.
        lines: how many, where there is no plane.

    """

    kind: Literal["random", "checkpoints", "trajectory", "lines"]
    points: tuple[str, ...]
    size: tuple[int, int]
    extent: tuple[str, ...] | None
    factor: float
    on: Literal["data", "test"]
    normalisation: Normalisation
    seed: int
    lines: int | None


@dataclass(frozen=True)
class Survey:
    """What is to be evaluated, in steps that may be left out.

    Attributes:
        objective: f.
        grid: gives the grid, or finds it.
        places: the coordinates of every point of a grid, in the order of evaluation.
        first: measures the first point of a grid.
        evaluate: measures all but the first points, which are given, and hands them on.

    """

    objective: Objective
    grid: Callable[[], landscape.Grid]
    places: Callable[[landscape.Grid], list[dict[str, float]]]
    first: Callable[[landscape.Grid], Measurement]
    evaluate: Callable[[landscape.Grid, Sequence[Measurement], After], landscape.Plane | landscape.Lines]


def surveyed(subject: Subject, asked: Asked, *, progress: Progress) -> landscape.Plane | landscape.Lines:
    """Evaluate what was asked for, but what the run folder has of it."""
    survey = (lined if asked.kind == "lines" else planar)(subject, asked, progress)
    run, name = subject.run, file_name(asked, subject.described(survey.objective))
    grid, found = kept(run, name)
    if grid is not None and repr(survey.first(grid)) != repr(found[0]):
        grid, found = None, []
    grid = survey.grid() if grid is None else grid
    head, places = {"asked": asdict(asked), **grid._asdict()}, survey.places(grid)

    def keep(measured: Sequence[Measurement]) -> None:
        rows = zip(places, measured, strict=False)
        run.write_lines(name, [head, *({**place, "measured": asdict(one)} for place, one in rows)])

    return survey.evaluate(grid, found, keep)


def kept(run: Run, name: str) -> tuple[landscape.Grid | None, list[Measurement]]:
    """The grid and the points that the run folder has; no grid where there are no points."""
    lines = run.read_lines(name)
    if len(lines) < 2:
        return None, []
    head, *rows = lines
    with readable(run.folder / name):
        grid = landscape.Grid(tuple(head["alphas"]), tuple(head["betas"]), head["factor"])
        return grid, [Measurement(**row["measured"]) for row in rows]


def file_name(asked: Asked, how: dict[str, Any]) -> str:
    """The file of everything asked for."""
    digest = hashlib.sha256(json.dumps({**asdict(asked), **how}, sort_keys=True).encode()).hexdigest()[:10]
    return f"{'lines' if asked.kind == 'lines' else 'plane'}-{digest}.jsonl"


def evaluated_on(subject: Subject, on: str) -> Objective:
    """F at the model's weights, on the data or on the test data."""
    if on == "test" and subject.test is None:
        raise UsageError("there are no test data: let make() return a sharpmin.Task with test=...")
    return subject.objective(subject.data if on == "data" or subject.test is None else subject.test)


def planar(subject: Subject, asked: Asked, progress: Progress) -> Survey:
    """A plane."""
    frame, buffers = framed(subject, asked)
    objective = evaluated_on(subject, asked.on)

    def grid() -> landscape.Grid:
        if asked.extent == ("auto",):
            how: dict[str, Any] = {"factor": asked.factor, "points": asked.size, "buffers": buffers}
            return landscape.grown(objective, frame, **how, progress=progress)
        if asked.extent is not None:
            alpha, beta = extremes(asked.extent, axes=2)
            return landscape.Grid(between(*alpha, asked.size[0]), between(*beta, asked.size[1]))
        if frame.kind == "random":
            return landscape.Grid(landscape.even(1.0, asked.size[0]), landscape.even(1.0, asked.size[1]))
        return landscape.around(frame.marks, points=asked.size)

    def first(grid: landscape.Grid) -> Measurement:
        place = grid.alphas[0], grid.betas[0]
        own = None if buffers is None else [buffers(*place)]
        return objective.measure_many([frame.theta(*place)], buffers=own)[0]

    def evaluate(grid: landscape.Grid, found: Sequence[Measurement], after: After) -> landscape.Plane:
        return landscape.surface(
            objective, frame, grid=grid, buffers=buffers, found=found, after=after, progress=progress
        )

    def places(grid: landscape.Grid) -> list[dict[str, float]]:
        return [{"alpha": alpha, "beta": beta} for beta in grid.betas for alpha in grid.alphas]

    return Survey(objective, grid, places, first, evaluate)


def framed(subject: Subject, asked: Asked) -> tuple[landscape.Frame, BuffersAt | None]:
    """The plane, and the buffers of its points where they are not the model's; the model is left at the centre."""
    if asked.kind == "random":
        objective, name = subject.at(asked.points[0]), asked.points[0]
        how: dict[str, Any] = {"normalisation": asked.normalisation, "seed": asked.seed}
        return landscape.random_frame(objective, objective.theta, **how, name=name), None
    if asked.kind == "trajectory":
        taken = ends(subject, asked.points[::-1])[::-1]  # the last one is the centre
        return landscape.trajectory_frame([one.theta for one in taken], names=asked.points), None
    taken = ends(subject, asked.points)
    frame = landscape.frame_through([one.theta for one in taken], names=asked.points)
    return frame, landscape.mixing(frame, [one.buffers for one in taken])


def lined(subject: Subject, asked: Asked, progress: Progress) -> Survey:
    """Random lines."""
    draws, theta = asked.lines or 0, subject.at(asked.points[0]).theta
    objective = evaluated_on(subject, asked.on)
    how: dict[str, Any] = {"normalisation": asked.normalisation, "seed": asked.seed}

    def grid() -> landscape.Grid:
        if asked.extent == ("auto",):
            widely = {**how, "factor": asked.factor, "points": asked.size[0], "progress": progress}
            return landscape.Grid(landscape.grown_alphas(objective, theta, **widely), (), asked.factor)
        (alpha,) = extremes(asked.extent or ("1",), axes=1)
        return landscape.Grid(between(*alpha, asked.size[0]), ())

    def first(grid: landscape.Grid) -> Measurement:
        (direction,) = landscape.random_directions(objective, theta, count=1, **how)
        return objective.measure(torch.add(theta, direction, alpha=grid.alphas[0]))

    def evaluate(grid: landscape.Grid, found: Sequence[Measurement], after: After) -> landscape.Lines:
        where: dict[str, Any] = {"alphas": grid.alphas, "factor": grid.factor, "draws": draws}
        return landscape.lines(objective, theta, **where, **how, found=found, after=after, progress=progress)

    def places(grid: landscape.Grid) -> list[dict[str, float]]:
        return [{"line": line, "alpha": alpha} for line in range(draws) for alpha in grid.alphas]

    return Survey(objective, grid, places, first, evaluate)


def extremes(given: Sequence[str], *, axes: int) -> list[tuple[float, float]]:
    """The ends of each axis from --range R, or from the lowest and the highest value of each."""
    try:
        numbers = [float(text) for text in given]
    except ValueError:
        numbers = []
    if len(numbers) == 1:
        return [(-numbers[0], numbers[0])] * axes
    if len(numbers) != 2 * axes:
        raise UsageError(f"--range takes auto, one number, or {2 * axes}: the lowest and the highest of each axis")
    return list(zip(numbers[::2], numbers[1::2], strict=True))
