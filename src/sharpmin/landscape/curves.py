"""Curves between two minimizers a and b that are bent where f is low.

    bezier    phi(t) = sum_{i=0}^{m} C(m, i) t^i (1 - t)^{m-i} w_i
    polygon   phi(t) = sum_{i=0}^{m} max(0, 1 - |m t - i|) w_i,        0 <= t <= 1,

with w_0 = a, w_m = b, and the m - 1 bends between them. With one bend theta these are the two curves of Garipov et al.
2018, section 3.2: phi(t) = (1-t)^2 a + 2t(1-t) theta + t^2 b, and the chain of two straight pieces that meet in theta.

The bends minimise (their equation 2)

    E f(phi(t)),  t uniform on [0, 1],

by stochastic gradients: each batch of the data gets one t, and d/dw_i = c_i(t) grad f(phi(t)). They start evenly spaced
on the straight line, where both curves are that line, walked at constant speed: what they gain is gained over the line.
"""

from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor

from sharpmin.batchnorm import Policy, norms
from sharpmin.errors import UsageError
from sharpmin.landscape.barrier import Barrier, barrier_of, unit_grid
from sharpmin.landscape.paths import Path, interpolate, path
from sharpmin.landscape.points import measured
from sharpmin.measurement import Measurement
from sharpmin.objective import Objective
from sharpmin.progress import Progress, silent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CurveKind = Literal["bezier", "polygon"]
Solver = Literal["adam", "sgd"]


@dataclass(frozen=True)
class CurveConfig:
    """What determines the bits of a trained curve, beside f and the two ends.

    Attributes:
        kind: "bezier" or "polygon".
        bends: between the ends.
        epochs: passes over the data.
        batch_size: examples per step; data that come in batches of their own keep them.
        solver: "adam", or "sgd" with momentum 0.9.
        learning_rate: of the first half of the epochs; it then falls linearly to a hundredth at nine tenths of them.
        seed: of the order of the examples and of t.

    """

    kind: CurveKind = "bezier"
    bends: int = 1
    epochs: int = 20
    batch_size: int = 256
    solver: Solver = "adam"
    learning_rate: float = 1e-3
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve that was trained, with the straight line between its ends for comparison.

    Attributes:
        config: how it was trained.
        bends: its inner control points, [bends, n].
        ts: where f was evaluated.
        losses: f at each t.
        accuracies: fractions, or None where the loss counts no hits.
        line: the straight line at the same places. Training began on it, so it is the curve before as well.
        training_losses: the mean loss of each epoch's batches, each at its own t.
        examples: N behind each loss.
        batch_norm: policy of f.
        training_batch_norm: policy of the batches that the curve was trained with.
        batch_size: evaluation batch of f; None where the data came in batches of their own.
        precision: of f.
        seconds: of the training, interruptions not counted.

    """

    config: CurveConfig
    bends: Tensor
    ts: tuple[float, ...]
    losses: tuple[float, ...]
    accuracies: tuple[float | None, ...]
    line: Path
    training_losses: tuple[float, ...]
    examples: int
    batch_norm: Policy
    training_batch_norm: Policy
    batch_size: int | None
    precision: str
    seconds: float

    @property
    def alphas(self) -> tuple[float, ...]:
        """The ts, under the name that they have on a path."""
        return self.ts

    @property
    def barrier(self) -> Barrier:
        """The barrier on the curve."""
        return barrier_of(self)

    @property
    def line_barrier(self) -> Barrier:
        """The barrier on the straight line."""
        return barrier_of(self.line)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw loss and accuracy over those of the straight line, on matplotlib axes or on new ones."""
        from sharpmin import plots

        return plots.on_axes(lambda axis: plots.draw_curve(axis, self), ax)


@dataclass(frozen=True, eq=False)
class CurveState:
    """Everything that the training of a curve needs to go on.

    Attributes:
        bends: the inner control points, [bends, n].
        moments: the solver's state by name.
        losses: the mean training loss of each epoch done.
        seconds: spent so far.

    """

    bends: Tensor
    moments: dict[str, Tensor]
    losses: tuple[float, ...] = ()
    seconds: float = 0.0

    @property
    def epochs(self) -> int:
        """Epochs done."""
        return len(self.losses)


def coefficients(kind: CurveKind, t: float, *, bends: int = 1) -> tuple[float, ...]:
    """The weight c_i(t) of each control point, the ends included; they add up to 1.

    Example:
        >>> coefficients("bezier", 0.25), coefficients("polygon", 0.25)
        ((0.5625, 0.375, 0.0625), (0.5, 0.5, 0.0))

    """
    m = bends + 1
    if kind == "bezier":
        return tuple(comb(m, i) * t**i * (1 - t) ** (m - i) for i in range(m + 1))
    return tuple(max(0.0, 1 - abs(m * t - i)) for i in range(m + 1))


def point(kind: CurveKind, theta_a: Tensor, bends: Tensor, theta_b: Tensor, t: float) -> Tensor:
    """The weights phi(t), [n]; the ends are returned bit for bit.

    Args:
        kind: "bezier" or "polygon".
        theta_a: phi(0), [n].
        bends: the inner control points, [bends, n].
        theta_b: phi(1), [n].
        t: from 0 to 1.

    Example:
        >>> a, bend, b = torch.zeros(2), torch.tensor([[1.0, 0.0]]), torch.ones(2)
        >>> point("polygon", a, bend, b, 0.5), point("bezier", a, bend, b, 0.5)
        (tensor([1., 0.]), tensor([0.7500, 0.2500]))

    """
    if t in (0, 1):
        return (theta_b if t else theta_a).clone()
    first, *inner, last = coefficients(kind, t, bends=len(bends))
    found = first * theta_a + last * theta_b
    for weight, bend in zip(inner, bends, strict=True):
        found.add_(bend, alpha=weight)
    return found


def straight(theta_a: Tensor, theta_b: Tensor, *, bends: int) -> Tensor:
    """Control points evenly spaced on the straight line, [bends, n]."""
    return torch.stack([interpolate(theta_a, theta_b, i / (bends + 1)) for i in range(1, bends + 1)])


def evaluate_curve(
    objective: Objective,
    theta_a: Tensor,
    theta_b: Tensor,
    state: CurveState,
    config: CurveConfig,
    *,
    points: int = 25,
    progress: Progress = silent,
) -> Curve:
    """Evaluate loss and accuracy along a trained curve and along the straight line, on any data.

    Args:
        objective: f, over the data that the curve was trained on, or others such as a test set.
        theta_a: its first end, [n].
        theta_b: its last end, [n].
        state: what `train_curve` gave.
        config: what it was given.
        points: evenly spaced values of t, both ends among them.
        progress: told the points done.

    Returns:
        The curve with its evidence.

    Raises:
        UsageError: fewer than two points; stored statistics of BatchNorm, which fit no point of a curve.

    """
    check_statistics(objective)
    ts = unit_grid(points)

    def tell(done: int, one: Measurement) -> None:
        progress("curve", done, points, unit="points", note=f"t {ts[done - 1]:.3f}, loss {one.loss:.4f}")

    def along(number: int) -> Tensor:
        return point(config.kind, theta_a, state.bends, theta_b, ts[number])

    found = measured(objective, along, points, tell=tell)
    line = path(objective, theta_a, theta_b, alphas=ts, progress=renamed(progress))
    return Curve(
        config=config,
        bends=state.bends,
        ts=ts,
        losses=tuple(m.loss for m in found),
        accuracies=tuple(m.accuracy for m in found),
        line=line,
        training_losses=state.losses,
        examples=found[0].examples,
        batch_norm=objective.batch_norm,
        training_batch_norm=training_policy(objective),
        batch_size=objective.batch_size,
        precision=objective.precision,
        seconds=state.seconds,
    )


def training_policy(objective: Objective) -> Policy:
    """The BatchNorm policy of the batches a curve is trained with: "recalibrate" has no gradient, a batch has one."""
    return "batch" if objective.batch_norm == "recalibrate" else objective.batch_norm


def check_statistics(objective: Objective) -> None:
    """Raise a UsageError where f would use running statistics, which fit no point of a curve but its ends."""
    if objective.batch_norm in ("running", "recalibrated") and norms(objective.model):
        raise UsageError(
            "the running statistics of BatchNorm fit no point of a curve but its ends: choose the policy "
            '"recalibrate", which estimates them anew at every point that is evaluated, or "batch"'
        )


def check(config: CurveConfig) -> None:
    """Raise a UsageError for settings that train no curve."""
    if config.kind not in get_args(CurveKind):
        raise UsageError(f"unknown curve {config.kind!r}: choose one of {', '.join(get_args(CurveKind))}")
    if config.solver not in get_args(Solver):
        raise UsageError(f"unknown solver {config.solver!r}: choose one of {', '.join(get_args(Solver))}")
    for name in ("bends", "epochs", "batch_size"):
        if getattr(config, name) < 1:
            raise UsageError(f"{name} is {getattr(config, name)}: it must be at least 1")
    if config.seed < 0:
        raise UsageError(f"seed is {config.seed}: it must be 0 or above")
    if not 0 < config.learning_rate < float("inf"):
        raise UsageError(f"learning_rate is {config.learning_rate}: it must be a finite number above 0")


def renamed(progress: Progress) -> Progress:
    """The same progress, the path's task called a line."""

    def told(task: str, done: int, total: int | None, *, unit: str = "", note: str = "") -> None:
        progress("line", done, total, unit=unit, note=note)

    return told
