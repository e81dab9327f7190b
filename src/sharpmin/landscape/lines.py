"""f along several random directions, and how much they differ.

    theta_k(alpha) = theta + alpha d_k,    k = 1, ..., draws

One random line of a million dimensions says little about the others; several show how little, or how much.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from sharpmin.batchnorm import Policy
from sharpmin.combination import Combination
from sharpmin.errors import UsageError
from sharpmin.landscape.directions import Normalisation, random_directions
from sharpmin.landscape.grids import POINTS, even, followed, half_width, times
from sharpmin.landscape.points import After, measured, nothing
from sharpmin.landscape.surface import Rows, in_rows
from sharpmin.landscape.undecided import warn_undecided
from sharpmin.measurement import Measurement
from sharpmin.objective import Objective
from sharpmin.optim.blocks import norm
from sharpmin.progress import Progress, silent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Lines:
    """What was found along random lines through one point; a row for each draw.

    Attributes:
        alphas: where f was evaluated, the same on every line; 0 is the point itself.
        losses: f, `losses[draw][i]` at alphas[i]; NaN and infinity are kept.
        accuracies: fractions, or None where the loss counts no hits or is not finite.
        lengths: |d_k| of each direction.
        normalisation: of the directions.
        seed: of the directions.
        factor: by which the loss grows along the first line, both ways, where the range was found by that.
        weights: n.
        examples: N behind each value.
        batch_norm: the BatchNorm policy of f.
        batch_size: the evaluation batch, part of f's definition under batch statistics; None where the data came in
            batches of their own.
        precision: of the evaluation.

    """

    alphas: tuple[float, ...]
    losses: Rows
    accuracies: tuple[tuple[float | None, ...], ...]
    lengths: tuple[float, ...]
    normalisation: Normalisation
    seed: int
    factor: float | None
    weights: int
    examples: int
    batch_norm: Policy
    batch_size: int | None
    precision: str

    @property
    def mean(self) -> tuple[float, ...]:
        """The mean over the draws at each alpha; NaN where one of them is."""
        return tuple(np.mean(self.losses, axis=0).tolist())

    @property
    def lowest(self) -> tuple[float, ...]:
        """The lowest loss of any draw at each alpha; NaN where one of them is."""
        return tuple(np.min(self.losses, axis=0).tolist())

    @property
    def highest(self) -> tuple[float, ...]:
        """The highest loss of any draw at each alpha; NaN where one of them is."""
        return tuple(np.max(self.losses, axis=0).tolist())

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the mean, the range and every line, on matplotlib axes or on new ones."""
        from sharpmin import plots

        return plots.on_axes(lambda axis: plots.draw_lines(axis, self), ax)


def lines(
    objective: Objective,
    theta: Tensor | None = None,
    *,
    draws: int = 5,
    alphas: Sequence[float] | None = None,
    factor: float | None = None,
    normalisation: Normalisation = "filter",
    seed: int = 0,
    found: Sequence[Measurement] = (),
    after: After = nothing,
    progress: Progress = silent,
) -> Lines:
    """Evaluate loss and accuracy from theta along several random directions.

    Args:
        objective: f.
        theta: where alpha is 0, [n]; by default the model's present weights.
        draws: how many directions.
        alphas: where to evaluate; by default 25 values from -1 to 1. `grown_alphas` finds a range.
        factor: by which the loss grows along the first line, kept with the result where the alphas were found by that.
        normalisation: "filter", "layer" or "none"; see `sharpmin.landscape.directions`.
        seed: of the directions.
        found: the first points, measured earlier: draw by draw, in the order of the alphas.
        after: given everything measured so far, every few points.
        progress: told the points done.

    Raises:
        UsageError: no draws, no alphas, or what `random_directions` refuses.

    Example:
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> three = lines(Objective(torch.nn.Linear(4, 3), toy.train), draws=3, alphas=[-1, 0, 1])
        >>> three.lowest[1] == three.mean[1] == three.highest[1], three.lowest[2] < three.highest[2]
        (True, True)

    """
    warn_undecided(objective)
    alphas = even(1.0, POINTS) if alphas is None else tuple(float(alpha) for alpha in alphas)
    if draws < 1 or not alphas:
        raise UsageError(f"{draws} draws with {len(alphas)} alphas: ask for at least 1 of each")
    theta = objective.theta if theta is None else theta
    how = {"count": draws, "normalisation": normalisation, "seed": seed}
    lengths = tuple(norm(direction) for direction in random_directions(objective, theta, **how))  # type: ignore[arg-type]
    makers = in_turn(theta, random_directions(objective, theta, **how), alphas)  # type: ignore[arg-type]

    def tell(done: int, one: Measurement) -> None:
        draw, column = divmod(done - 1, len(alphas))
        note = f"line {draw + 1}, alpha {alphas[column]:+.3f}, loss {one.loss:.4f}"
        progress("lines", done, draws * len(alphas), unit="points", note=note)

    values = measured(objective, makers, draws * len(alphas), found=found, after=after, tell=tell)
    return Lines(
        alphas=alphas,
        losses=in_rows([one.loss for one in values], len(alphas)),
        accuracies=in_rows([one.accuracy for one in values], len(alphas)),
        lengths=lengths,
        normalisation=normalisation,
        seed=seed,
        factor=factor,
        weights=len(theta),
        examples=values[0].examples,
        batch_norm=objective.batch_norm,
        batch_size=objective.batch_size,
        precision=objective.precision,
    )


def in_turn(theta: Tensor, directions: Iterator[Tensor], alphas: Sequence[float]) -> Callable[[int], Combination]:
    """What makes the weights of a point from its number; numbers go up; a direction lives as long as its points."""
    drawn = enumerate(directions)
    at, direction = next(drawn)

    def make(number: int) -> Combination:
        nonlocal at, direction
        draw, column = divmod(number, len(alphas))
        while at < draw:
            at, direction = next(drawn)
        alpha = alphas[column]
        return Combination(torch.add(theta, direction, alpha=alpha), (theta, direction), (1.0, alpha))

    return make


def grown_alphas(
    objective: Objective,
    theta: Tensor,
    *,
    factor: float = 10.0,
    points: int = POINTS,
    normalisation: Normalisation = "filter",
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[float, ...]:
    """Find the range in which the loss grows by a factor along the first random direction, both ways.

    Raises:
        UsageError: see `sharpmin.landscape.grown`, which does it for a plane.

    Example:
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> f = Objective(torch.nn.Linear(4, 3), toy.train)
        >>> alphas = grown_alphas(f, f.theta, factor=2)
        >>> max(lines(f, draws=1, alphas=alphas).losses[0]) >= 2 * f.value(f.theta)
        True

    """
    (direction,) = random_directions(objective, theta, count=1, normalisation=normalisation, seed=seed)
    loss = followed(objective, lambda alpha, _: torch.add(theta, direction, alpha=alpha), progress=progress)
    limit = times(factor, loss(0.0, 0.0))
    return even(half_width(lambda t: loss(t, 0.0), limit), points)
