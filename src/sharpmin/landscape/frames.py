"""Two-dimensional planes in weight space: centre + alpha u + beta v, and what lies in them.

Through three points a, b, c (Garipov et al. 2018, appendix):

    u = (b - a) / |b - a|,    v = w / |w|  with  w = (c - a) - <c - a, u> u

so that u and v are orthonormal, a lies at (0, 0), b at (|b - a|, 0), c at (<c - a, u>, |w|), and distances in a figure
are distances between weights. Inner products are accumulated in float64.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from typing import Literal

import torch
from torch import Tensor

from sharpmin.combination import Combination
from sharpmin.errors import UsageError
from sharpmin.landscape.directions import Normalisation, random_directions
from sharpmin.objective import Objective
from sharpmin.optim.blocks import blocks, inner, norm

Kind = Literal["given", "random", "checkpoints", "trajectory"]
ROUNDINGS = 4  # of |theta|: nearer than that two points are one


@dataclass(frozen=True)
class Mark:
    """A named point and where it lies.

    Attributes:
        name: of the checkpoint.
        alpha: its coordinate along u.
        beta: its coordinate along v.
        distance: between the weights and the plane; 0 for a point in it.

    """

    name: str
    alpha: float
    beta: float
    distance: float = 0.0


@dataclass(frozen=True, eq=False)
class Frame:
    """A plane in weight space.

    Attributes:
        centre: the weights at (0, 0), [n].
        u: the direction of alpha, [n].
        v: the direction of beta, [n].
        kind: "random", "checkpoints" (through three), "trajectory", or "given".
        marks: points to be marked; those of a trajectory in its order.
        normalisation: of random directions.
        seed: of random directions.
        explained: of a trajectory, the share of the squared distances from the final point along u and along v.

    """

    centre: Tensor
    u: Tensor
    v: Tensor
    kind: Kind = "given"
    marks: tuple[Mark, ...] = ()
    normalisation: Normalisation | None = None
    seed: int | None = None
    explained: tuple[float, float] | None = None

    def theta(self, alpha: float, beta: float) -> Tensor:
        """The weights at (alpha, beta), a new vector [n]."""
        return torch.add(self.centre, self.u, alpha=alpha).add_(self.v, alpha=beta)

    def combination(self, alpha: float, beta: float) -> Combination:
        """The same, and what it is a sum of."""
        return Combination(self.theta(alpha, beta), (self.centre, self.u, self.v), (1.0, alpha, beta))


def random_frame(
    objective: Objective,
    theta: Tensor,
    *,
    normalisation: Normalisation = "filter",
    seed: int = 0,
    name: str = "centre",
) -> Frame:
    """The plane around theta [n] along two random directions; see `sharpmin.landscape.directions`."""
    u, v = random_directions(objective, theta, normalisation=normalisation, seed=seed)
    return Frame(theta, u, v, "random", (Mark(name, 0.0, 0.0),), normalisation, seed)


def frame_through(thetas: Sequence[Tensor], *, names: Sequence[str] = ("a", "b", "c")) -> Frame:
    """The plane through three points [n], on an orthonormal basis.

    Raises:
        UsageError: not three points, or of different sizes; two of them are the same, or all lie on one line.

    Example:
        >>> a, b, c = torch.zeros(3), torch.tensor([2.0, 0, 0]), torch.tensor([1.0, 1, 0])
        >>> [(mark.alpha, mark.beta) for mark in frame_through([a, b, c]).marks]
        [(0.0, 0.0), (2.0, 0.0), (1.0, 1.0)]

    Source: Garipov et al. 2018.

    """
    check_points(thetas, names, least=3, most=3)
    a, b, c = thetas
    u = b - a
    length = norm(u)
    u /= length
    w, along = c - a, 0.0
    for _ in range(2):  # once more: rounding leaves a part along u the first time
        share = inner(w, u)
        w.sub_(u, alpha=share)
        along += share
    height = norm(w)
    if height <= nearness(thetas):
        raise UsageError(f"{', '.join(names)} lie on one line and make no plane: draw the line, with sharpmin path")
    places = ((0.0, 0.0), (length, 0.0), (along, height))
    marks = tuple(Mark(name, *place) for name, place in zip(names, places, strict=True))
    return Frame(a, u, w.div_(height), "checkpoints", marks)


def check_points(thetas: Sequence[Tensor], names: Sequence[str], *, least: int, most: int | None = None) -> None:
    """Raise a UsageError unless these are points of one space, enough of them, each with a name, all different."""
    if len(thetas) < least or (most is not None and len(thetas) > most):
        wanted = least if most == least else f"{least} or more"
        raise UsageError(f"a plane takes {wanted} points here, not {len(thetas)}")
    if len(names) != len(thetas):
        raise UsageError(f"{len(thetas)} points have {len(names)} names: give each its own")
    if len({theta.shape for theta in thetas}) > 1:
        raise UsageError(f"the points differ in size: {', '.join(str(theta.numel()) for theta in thetas)} weights")
    if most is None:
        return
    near = nearness(thetas)
    for (one, theta), (other, there) in combinations(zip(names, thetas, strict=True), 2):
        if distance(theta, there) <= near:
            raise UsageError(f"{one} and {other} are the same weights: three different points make a plane")


def nearness(thetas: Sequence[Tensor]) -> float:
    """The distance that rounding alone can make between two equal points."""
    return ROUNDINGS * torch.finfo(thetas[0].dtype).eps * max(norm(theta) for theta in thetas)


def mixing(frame: Frame, buffers: Sequence[Mapping[str, Tensor]]) -> Callable[[float, float], dict[str, Tensor]]:
    """Mix the buffers of three checkpoints as the weights are mixed: a's, b's and c's own at their three places.

    Floating ones; the others are a's. This is what running statistics get under "running".
    """
    _, b, c = frame.marks

    def mixed(alpha: float, beta: float) -> dict[str, Tensor]:
        of_c = beta / c.beta
        of_b = (alpha - of_c * c.alpha) / b.alpha
        shares = [1 - of_b - of_c, of_b, of_c]
        if 1 in shares:
            return dict(buffers[shares.index(1)])
        mix = dict(buffers[0])
        for name in (name for name, tensor in mix.items() if tensor.is_floating_point()):
            mix[name] = torch.stack([share * own[name] for share, own in zip(shares, buffers, strict=True)]).sum(0)
        return mix

    return mixed


def distance(a: Tensor, b: Tensor) -> float:
    """|a - b|, block by block."""
    return sqrt(sum((a[part].double() - b[part].double()).square().sum().item() for part in blocks(a)))
