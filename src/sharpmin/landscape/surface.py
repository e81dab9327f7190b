"""f on any two-dimensional plane in weight space.

    theta(alpha, beta) = centre + alpha u + beta v

The statistics of BatchNorm fit no point but their own. On a plane "recalibrate" estimates them at each point, "batch"
does without them. "running" keeps those of the model everywhere, or between three checkpoints mixes theirs as the
weights are mixed (`sharpmin.landscape.mixing`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from sharpmin.batchnorm import Policy
from sharpmin.errors import UsageError
from sharpmin.landscape.directions import Normalisation
from sharpmin.landscape.frames import Frame, Kind, Mark
from sharpmin.landscape.grids import BuffersAt, Grid, around, even
from sharpmin.landscape.points import After, measured, nothing
from sharpmin.landscape.undecided import warn_undecided
from sharpmin.measurement import Measurement
from sharpmin.objective import Objective
from sharpmin.optim.blocks import inner, norm
from sharpmin.progress import Progress, silent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PARALLEL = 1 - 1e-6  # |cosine| from which on two directions make a line
Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Plane:
    """What was found on a plane. Rows are betas, columns alphas: `losses[row][column]`, the lowest beta first.

    Attributes:
        kind: "random", "checkpoints", "trajectory" or "given".
        alphas: coordinates along u, one a column.
        betas: coordinates along v, one a row.
        losses: f at each point; NaN and infinity are kept.
        accuracies: fractions, or None where the loss counts no hits or is not finite.
        marks: the points marked, with their coordinates and their distance from the plane.
        lengths: |u| and |v|.
        cosine: of the angle between u and v; 0 for a right one.
        normalisation: of random directions.
        seed: of random directions.
        explained: of a trajectory, the share of the squared distances from the final point along u and along v.
        factor: by which the loss grows along the axes, both ways, where the range was found by that.
        weights: n.
        examples: N behind each value.
        batch_norm: the BatchNorm policy of f.
        batch_size: the evaluation batch, part of f's definition under batch statistics; None where the data came in
            batches of their own.
        precision: of the evaluation.

    """

    kind: Kind
    alphas: tuple[float, ...]
    betas: tuple[float, ...]
    losses: Rows
    accuracies: tuple[tuple[float | None, ...], ...]
    marks: tuple[Mark, ...]
    lengths: tuple[float, float]
    cosine: float
    normalisation: Normalisation | None
    seed: int | None
    explained: tuple[float, float] | None
    factor: float | None
    weights: int
    examples: int
    batch_norm: Policy
    batch_size: int | None
    precision: str

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the contours, on matplotlib axes or on new ones."""
        from sharpmin import plots

        return plots.on_axes(lambda axis: plots.draw_plane(axis, self), ax)


def surface(
    objective: Objective,
    frame: Frame,
    *,
    grid: Grid | None = None,
    buffers: BuffersAt | None = None,
    found: Sequence[Measurement] = (),
    after: After = nothing,
    progress: Progress = silent,
) -> Plane:
    """Evaluate loss and accuracy on any plane; the other functions make its frame.

    Args:
        objective: f.
        frame: the plane.
        grid: by default 25 values each: around the marks of checkpoints, from -1 to 1 elsewhere.
        buffers: of each point (alpha, beta), where they are not the model's own.
        found: the first points, measured earlier: row by row, the lowest beta first.
        after: given everything measured so far, every few points.
        progress: told the points done.

    Raises:
        UsageError: directions that are 0 or parallel; an empty grid.

    """
    warn_undecided(objective)
    lengths, cosine = shape(frame)
    grid = default_grid(frame) if grid is None else checked(grid)
    places = [(alpha, beta) for beta in grid.betas for alpha in grid.alphas]

    def tell(done: int, one: Measurement) -> None:
        alpha, beta = places[done - 1]
        note = f"alpha {alpha:+.3f}, beta {beta:+.3f}, loss {one.loss:.4f}"
        progress("plane", done, len(places), unit="points", note=note)

    values = measured(
        objective,
        lambda number: frame.combination(*places[number]),
        len(places),
        buffers=None if buffers is None else lambda number: buffers(*places[number]),
        found=found,
        after=after,
        tell=tell,
    )
    return Plane(
        kind=frame.kind,
        alphas=grid.alphas,
        betas=grid.betas,
        losses=in_rows([one.loss for one in values], len(grid.alphas)),
        accuracies=in_rows([one.accuracy for one in values], len(grid.alphas)),
        marks=frame.marks,
        lengths=lengths,
        cosine=cosine,
        normalisation=frame.normalisation,
        seed=frame.seed,
        explained=frame.explained,
        factor=grid.factor,
        weights=len(frame.centre),
        examples=values[0].examples,
        batch_norm=objective.batch_norm,
        batch_size=objective.batch_size,
        precision=objective.precision,
    )


def shape(frame: Frame) -> tuple[tuple[float, float], float]:
    """The lengths of u and v, and the cosine between them.

    Raises:
        UsageError: vectors of different sizes; directions that make no plane.

    """
    sizes = [len(vector) for vector in (frame.centre, frame.u, frame.v)]
    if len(set(sizes)) > 1:
        raise UsageError(f"centre, u and v differ in size: {', '.join(map(str, sizes))} weights")
    lengths = norm(frame.u), norm(frame.v)
    if not all(0 < length < inf for length in lengths):
        raise UsageError("a direction is 0 or not finite and makes no plane: give two that are neither")
    cosine = inner(frame.u, frame.v) / (lengths[0] * lengths[1])
    if abs(cosine) > PARALLEL:
        raise UsageError("the two directions are parallel and make no plane")
    return lengths, cosine


def default_grid(frame: Frame) -> Grid:
    """Around the checkpoints; from -1 to 1 where the directions have a length of their own."""
    return around(frame.marks) if frame.kind in ("checkpoints", "trajectory") else Grid(even(1.0), even(1.0))


def checked(grid: Grid) -> Grid:
    """The same grid as tuples of numbers.

    Raises:
        UsageError: an axis has no value.

    """
    if not len(grid.alphas) or not len(grid.betas):
        raise UsageError("the grid is empty: give at least one alpha and one beta")
    return Grid(tuple(float(a) for a in grid.alphas), tuple(float(b) for b in grid.betas), grid.factor)


def in_rows(values: Sequence[Any], width: int) -> tuple[tuple[Any, ...], ...]:
    """Cut a list into rows."""
    return tuple(tuple(values[start : start + width]) for start in range(0, len(values), width))
