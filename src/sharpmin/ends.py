"""Points of a subject, taken out of its model: the ends of a path, the corners of a plane."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sharpmin.alignment import Alignment, align
from sharpmin.errors import UsageError
from sharpmin.network import unwrapped
from sharpmin.progress import Progress
from sharpmin.subjects import Subject


@dataclass(frozen=True, eq=False)
class End:
    """A point of a subject, taken out of the model.

    Attributes:
        theta: its weights, [n].
        buffers: copies of its buffers.
        held: copies of its weights outside theta.

    """

    theta: Tensor
    buffers: dict[str, Tensor]
    held: dict[str, Tensor]


def end(subject: Subject, point: str) -> End:
    """Copy a point out of the model."""
    objective = subject.at(point)
    outside = {n: p.detach().clone() for n, p in subject.model.named_parameters() if n not in objective.layout.names}
    return End(objective.theta, {name: t.clone() for name, t in subject.model.named_buffers()}, outside)


def ends(subject: Subject, points: Sequence[str]) -> list[End]:
    """Copy points out of the model, which is left at the first; warn where they differ in what is not in theta."""
    first, *others = taken = [end(subject, point) for point in reversed(points)][::-1]
    if any(not torch.equal(tensor, one.held[name]) for one in others for name, tensor in first.held.items()):
        said = f"they differ outside theta as well, in weights frozen or left out; there all are as {points[0]}"
        warnings.warn(said, stacklevel=2)
    return taken


def pair(subject: Subject) -> Subject:
    """The subject, if it has two points."""
    if len(subject.points) != 2:
        raise UsageError(f"this takes two ends and got {', '.join(subject.points)}: give two checkpoints")
    return subject


def aligned(subject: Subject, *, seed: int, progress: Progress) -> tuple[Subject, Alignment]:
    """The subject with its second point permuted to match the first."""
    if subject.evaluation.only is not None:
        raise UsageError("alignment permutes whole layers with all that belongs to them: leave --only out")
    states, model = {}, unwrapped(subject.model)
    for point, load in subject.points.items():
        load(subject.model)
        states[point] = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    (first, a), (second, b) = states.items()
    found = align(model, a, b, objective=subject.objective(subject.data), seed=seed, progress=progress)
    points = {first: subject.points[first], second: lambda _: model.load_state_dict(found.state)}
    return replace(subject, points=points), found
