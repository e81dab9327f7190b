"""Planes in weight space, by where their two directions come from.

Random planes (Li et al. 2018) show the neighbourhood of one minimizer, planes through three checkpoints (Garipov et al.
2018) what lies between them, planes of a trajectory (Li et al. 2018, section 7) how training went. All are evaluated by
`sharpmin.landscape.surface`.
"""

from collections.abc import Sequence

from torch import Tensor

from sharpmin.landscape.directions import Normalisation
from sharpmin.landscape.frames import Frame, frame_through, random_frame
from sharpmin.landscape.grids import BuffersAt, Grid
from sharpmin.landscape.surface import Plane, surface
from sharpmin.landscape.trajectory import trajectory_frame
from sharpmin.objective import Objective
from sharpmin.progress import Progress, silent


def plane(
    objective: Objective,
    centre: Tensor,
    u: Tensor,
    v: Tensor,
    *,
    grid: Grid | tuple[Sequence[float], Sequence[float]] | None = None,
    progress: Progress = silent,
) -> Plane:
    """Evaluate loss and accuracy on a plane of one's own directions.

    Args:
        objective: f.
        centre: the weights at (0, 0), [n].
        u: the direction of alpha, [n]; taken as it is.
        v: the direction of beta, [n].
        grid: alphas and betas, or a `Grid`; by default 25 values each from -1 to 1.
        progress: told the points done.

    Raises:
        UsageError: vectors of different sizes; directions that are 0 or parallel; an empty grid.

    Example:
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> f = Objective(torch.nn.Linear(4, 3), toy.train)
        >>> u, v = torch.eye(15)[:2]
        >>> found = plane(f, f.theta, u, v, grid=([-1, 0, 1], [0, 1]))
        >>> len(found.losses), len(found.losses[0])
        (2, 3)

    """
    if grid is not None and not isinstance(grid, Grid):
        grid = Grid(tuple(grid[0]), tuple(grid[1]))
    return surface(objective, Frame(centre, u, v), grid=grid, progress=progress)


def random_plane(
    objective: Objective,
    theta: Tensor | None = None,
    *,
    normalisation: Normalisation = "filter",
    seed: int = 0,
    grid: Grid | None = None,
    progress: Progress = silent,
) -> Plane:
    """Evaluate loss and accuracy around theta on a plane along two random directions.

    Args:
        objective: f.
        theta: the middle, [n]; by default the model's present weights.
        normalisation: "filter", "layer" or "none"; see `sharpmin.landscape.directions`.
        seed: of the directions.
        grid: by default 25 values each from -1 to 1; `sharpmin.landscape.grown` finds a range.
        progress: told the points done.

    Example:
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> random_plane(Objective(torch.nn.Linear(4, 3), toy.train), grid=Grid((-1, 0, 1), (0, 1))).marks
        (Mark(name='centre', alpha=0.0, beta=0.0, distance=0.0),)

    Source: Li et al. 2018.

    """
    theta = objective.theta if theta is None else theta
    frame = random_frame(objective, theta, normalisation=normalisation, seed=seed)
    return surface(objective, frame, grid=grid, progress=progress)


def plane_through(
    objective: Objective,
    thetas: Sequence[Tensor],
    *,
    names: Sequence[str] = ("a", "b", "c"),
    grid: Grid | None = None,
    buffers: BuffersAt | None = None,
    progress: Progress = silent,
) -> Plane:
    """Evaluate loss and accuracy on the plane through three points.

    Args:
        objective: f.
        thetas: three, [n] each.
        names: of the three.
        grid: by default 25 values each, the points and a quarter of their extent beyond them.
        buffers: of each point (alpha, beta), where they are not the model's own; see `sharpmin.landscape.mixing`.
        progress: told the points done.

    Raises:
        UsageError: not three points; two are the same, or all lie on one line.

    Example:
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> f = Objective(torch.nn.Linear(4, 3), toy.train)
        >>> found = plane_through(f, 3 * torch.eye(15)[:3], grid=Grid((0, 1), (0, 1)))
        >>> [f"{mark.name}: {mark.alpha:.3f}, {mark.beta:.3f}" for mark in found.marks]
        ['a: 0.000, 0.000', 'b: 4.243, 0.000', 'c: 2.121, 3.674']

    Source: Garipov et al. 2018.

    """
    return surface(objective, frame_through(thetas, names=names), grid=grid, buffers=buffers, progress=progress)


def trajectory_plane(
    objective: Objective,
    thetas: Sequence[Tensor],
    *,
    names: Sequence[str] | None = None,
    grid: Grid | None = None,
    progress: Progress = silent,
) -> Plane:
    """Evaluate loss and accuracy on the plane that a training trajectory stays nearest to.

    Args:
        objective: f.
        thetas: three checkpoints or more, the last one final, [n] each.
        names: of the checkpoints; by default their numbers.
        grid: by default 25 values each, the trajectory and a quarter of its extent beyond it.
        progress: told the points done.

    Raises:
        UsageError: fewer than three checkpoints, or all on one line.

    Example:
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> f = Objective(torch.nn.Linear(4, 3), toy.train)
        >>> found = trajectory_plane(f, torch.eye(15)[:4].cumsum(0), grid=Grid((0, 1), (0, 1)))
        >>> [round(share, 3) for share in found.explained]
        [0.841, 0.107]

    Source: Li et al. 2018, section 7.

    """
    return surface(objective, trajectory_frame(thetas, names=names), grid=grid, progress=progress)
