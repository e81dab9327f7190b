"""The plane that a training trajectory stays nearest to.

With theta_0, ..., theta_m the saved checkpoints, M = [theta_0 - theta_m; ...; theta_{m-1} - theta_m] and its singular
value decomposition M = U S V^T, the plane through the final point theta_m along the first two rows of V^T (Li et al.
2018, section 7) holds more of the squared distances from theta_m than any other plane through it:

    explained = (s_1^2, s_2^2) / sum_i s_i^2,    checkpoint i at (s_1 U_i1, s_2 U_i2).

The code of Li et al. moves the rows of M to their mean first; here the final point stays the origin, so that the plane
goes through it. S and U come from the m x m matrix M M^T, accumulated in float64.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from sharpmin.errors import UsageError
from sharpmin.landscape.frames import Frame, Mark, check_points, nearness
from sharpmin.optim.blocks import blocks

F64 = torch.float64
ROUNDED = 1e-7  # of s_1: the root of what rounding makes of a zero in M M^T


def trajectory_frame(thetas: Sequence[Tensor], *, names: Sequence[str] | None = None) -> Frame:
    """The plane of a trajectory through its final point; each checkpoint's distance from the plane is in its mark.

    Args:
        thetas: three checkpoints or more, in order, [n] each; all are held.
        names: of the checkpoints; by default their numbers.

    Raises:
        UsageError: fewer than three, of different sizes, or all on one line.

    Example:
        >>> frame = trajectory_frame([torch.tensor([4.0, 0, 1]), torch.tensor([0, 2.0, 1]), torch.tensor([0.0, 0, 1])])
        >>> [(round(mark.alpha, 6), round(mark.beta, 6)) for mark in frame.marks], frame.explained
        ([(4.0, 0.0), (0.0, 2.0), (0.0, 0.0)], (0.8, 0.2))

    Source: Li et al. 2018, section 7.

    """
    names = [str(number) for number in range(len(thetas))] if names is None else names
    check_points(thetas, names, least=3)
    gram = sum((moved @ moved.T for moved in differences(thetas)), torch.zeros((), dtype=F64))
    values, vectors = torch.linalg.eigh(gram)
    lengths, sides = values[-2:].flip(0).clamp(min=0).sqrt(), vectors[:, -2:].flip(1)
    if lengths[1] <= max(nearness(thetas), ROUNDED * float(lengths[0])):
        raise UsageError(f"{names[0]} to {names[-1]} lie on one line and make no plane: draw it, with sharpmin path")
    sides = sides * sides.gather(0, sides.abs().argmax(0, keepdim=True)).sign()  # the farthest point on an axis is at +
    places = sides * lengths
    u, v = combined(thetas, (sides / lengths).T)
    away = (gram.diagonal() - places.square().sum(1)).clamp(min=0).sqrt()
    rows = zip(names[:-1], *places.T.tolist(), away.tolist(), strict=True)
    marks = (*(Mark(*row) for row in rows), Mark(names[-1], 0.0, 0.0))
    share = (lengths.square() / gram.trace()).tolist()
    return Frame(thetas[-1], u, v, "trajectory", marks, explained=(share[0], share[1]))


def differences(thetas: Sequence[Tensor]) -> Iterator[Tensor]:
    """M, block by block of its columns, in float64."""
    for part in blocks(thetas[-1]):
        yield torch.stack([theta[part] for theta in thetas[:-1]]).double() - thetas[-1][part].double()


def combined(thetas: Sequence[Tensor], factors: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of `factors` M, in the dtype of the weights, [n] each."""
    first, second = torch.empty_like(thetas[-1]), torch.empty_like(thetas[-1])
    for part, moved in zip(blocks(first), differences(thetas), strict=True):
        first[part], second[part] = factors @ moved
    return first, second
