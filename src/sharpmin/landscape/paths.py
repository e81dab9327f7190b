"""f along a path between two minimizers: the parametric plot of Keskar et al. 2017.

    line (Figure 3):  theta(alpha) = alpha theta_b + (1 - alpha) theta_a           (Goodfellow et al. 2015)
    arc  (Figure 7):  theta(alpha) = sin(alpha pi/2) theta_b + cos(alpha pi/2) theta_a

In the paper a is the small-batch minimizer (alpha = 0) and b the large-batch one (alpha = 1).

Running statistics of BatchNorm fit no point of the path but their own. "recalibrate" estimates them at each point,
"batch" does without them, and "running" interpolates them with the weights, which is what averaging two checkpoints
does: on a line between independent minimizers it shows barriers that the weights alone do not have.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from torch import Tensor

from sharpmin.batchnorm import Policy
from sharpmin.combination import Combination
from sharpmin.errors import UsageError
from sharpmin.landscape.points import measured
from sharpmin.landscape.undecided import warn_undecided
from sharpmin.measurement import Measurement
from sharpmin.objective import Objective
from sharpmin.progress import Progress, silent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["line", "arc"]


@dataclass(frozen=True)
class Path:
    """What was found along a path.

    Attributes:
        kind: "line" or "arc".
        alphas: where f was evaluated; 0 is theta_a and 1 is theta_b.
        losses: f at each alpha; NaN and infinity are kept.
        accuracies: fractions, or None where the loss counts no hits.
        examples: N behind each value.
        batch_norm: the BatchNorm policy of f.
        batch_size: the evaluation batch, part of f's definition under batch statistics; None where the data came in
            batches of their own.
        precision: of the evaluation.

    """

    kind: Kind
    alphas: tuple[float, ...]
    losses: tuple[float, ...]
    accuracies: tuple[float | None, ...]
    examples: int
    batch_norm: Policy
    batch_size: int | None
    precision: str

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw loss and accuracy, on matplotlib axes or on new ones."""
        from sharpmin import plots

        return plots.on_axes(lambda axis: plots.draw_path(axis, self), ax)


def default_alphas(points: int = 25) -> tuple[float, ...]:
    """The paper's grid: `points` values from -1 to 2; with 25, as with any 1 + 3k, it contains 0 and 1 exactly."""
    if points < 2:
        raise UsageError(f"{points} points do not make a curve: ask for at least 2")
    alphas = np.linspace(-1, 2, points)
    third, rest = divmod(points - 1, 3)
    if not rest:
        alphas[[third, 2 * third]] = 0, 1  # to the last bit
    return tuple(alphas.tolist())


def check_kind(kind: str) -> None:
    """Raise a UsageError unless `kind` is one of the kinds of path."""
    if kind not in get_args(Kind):
        raise UsageError(f"unknown path {kind!r}: choose one of {', '.join(get_args(Kind))}")


def interpolate(theta_a: Tensor, theta_b: Tensor, alpha: float, *, kind: Kind = "line") -> Tensor:
    """The weights at alpha on the path from theta_a [n] to theta_b [n]; the ends are returned bit for bit.

    Example:
        >>> import torch
        >>> interpolate(torch.zeros(2), torch.ones(2), 0.25)
        tensor([0.2500, 0.2500])

    """
    if theta_a.shape != theta_b.shape:
        raise UsageError(f"the two minimizers differ in size: {theta_a.numel()} and {theta_b.numel()} weights")
    if alpha in (0, 1):
        check_kind(kind)
        return (theta_b if alpha else theta_a).clone()
    of_a, of_b = shares(alpha, kind=kind)
    return (of_b * theta_b).add_(theta_a, alpha=of_a)


def shares(alpha: float, *, kind: Kind = "line") -> tuple[float, float]:
    """The shares of theta_a and theta_b at alpha.

    Example:
        >>> shares(0.25), shares(0.0, kind="arc"), shares(1.0, kind="arc")
        ((0.75, 0.25), (1.0, 0.0), (0.0, 1.0))

    """
    check_kind(kind)
    if kind == "line" or alpha in (0, 1):
        return 1 - alpha, alpha
    return math.cos(alpha * math.pi / 2), math.sin(alpha * math.pi / 2)


def between_ends(theta_a: Tensor, theta_b: Tensor, alpha: float, *, kind: Kind) -> Combination:
    """The weights at alpha, and that they are a sum of the two ends."""
    theta = interpolate(theta_a, theta_b, alpha, kind=kind)
    return Combination(theta, (theta_a, theta_b), shares(alpha, kind=kind))


def between(a: Mapping[str, Tensor], b: Mapping[str, Tensor], alpha: float, *, kind: Kind) -> dict[str, Tensor]:
    """The buffers at alpha: the floating ones on the path, the others a's; an end's own at either end."""
    if alpha in (0, 1):
        return dict(b if alpha else a)
    return {
        name: interpolate(tensor, b[name], alpha, kind=kind) if tensor.is_floating_point() else tensor
        for name, tensor in a.items()
    }


def path(
    objective: Objective,
    theta_a: Tensor,
    theta_b: Tensor,
    *,
    kind: Kind = "line",
    alphas: Sequence[float] | None = None,
    buffers: tuple[Mapping[str, Tensor], Mapping[str, Tensor]] | None = None,
    progress: Progress = silent,
) -> Path:
    """Evaluate loss and accuracy along the path from theta_a to theta_b.

    Args:
        objective: f.
        theta_a: the weights at alpha = 0, [n].
        theta_b: the weights at alpha = 1, [n].
        kind: "line" or "arc".
        alphas: where to evaluate; by default 25 points from -1 to 2.
        buffers: those of the two ends, where they differ from the model's own: running statistics, say. Floating
            ones are interpolated under "running", others are those of theta_a.
        progress: told the points done.

    Returns:
        The losses and accuracies with the policy and batch size they were computed under.

    Raises:
        UsageError: minimizers of different sizes, an unknown kind, no alphas.

    Example:
        >>> import torch
        >>> from sharpmin import Objective, data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> f = Objective(torch.nn.Linear(4, 3), toy.train)
        >>> len(path(f, torch.zeros(15), torch.ones(15), alphas=[0, 0.5, 1]).losses)
        3

    Source: Keskar et al. 2017, Figures 3 and 7.

    """
    warn_undecided(objective)
    alphas = default_alphas() if alphas is None else tuple(float(alpha) for alpha in alphas)
    if not alphas:
        raise UsageError("a path with no alphas: ask for at least 1")

    def tell(done: int, one: Measurement) -> None:
        note = f"alpha {alphas[done - 1]:+.3f}, loss {one.loss:.4f}"
        progress("path", done, len(alphas), unit="points", note=note)

    found = measured(
        objective,
        lambda number: between_ends(theta_a, theta_b, alphas[number], kind=kind),
        len(alphas),
        buffers=None if buffers is None else lambda number: between(*buffers, alphas[number], kind=kind),
        tell=tell,
    )
    return Path(
        kind=kind,
        alphas=alphas,
        losses=tuple(m.loss for m in found),
        accuracies=tuple(m.accuracy for m in found),
        examples=found[0].examples,
        batch_norm=objective.batch_norm,
        batch_size=objective.batch_size,
        precision=objective.precision,
    )
