"""Losses on a path and on a plane between starting points.

loss-landscapes 3.0.6 does not evaluate the grid that its documentation names. Its lines begin one step after the start;
so do its planes along the second direction, but for every second line of points, which is displaced by a step. The
other sides evaluate its undisplaced points (`steps`), and of the displaced lines those points are compared that both
have (`undisplaced`).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import plain_port
import torch
from torch import Tensor
from torch.nn import functional as F

from sharpmin import data
from sharpmin.landscape import Grid, path, plane
from sharpmin.objective import Objective
from sides.problem import Problem


def steps(points: int) -> list[float]:
    """Where loss-landscapes evaluates: 1/points, 2/points, ..., 1."""
    return [(step + 1) / points for step in range(points)]


def mean_loss(model: Callable[[Tensor], Tensor], images: data.Examples) -> float:
    """Mean cross-entropy in batches of 5000."""
    total, size = 0.0, plain_port.EVALUATION_BATCH
    for inputs, targets in zip(images.inputs.split(size), images.targets.split(size), strict=True):
        total += F.cross_entropy(model(inputs), targets, reduction="sum").item()
    return total / len(images)


class Sharpmin:
    """The library through its public calls."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.images = problem, problem.examples()
        self.f = self.objective(0)

    def objective(self, seed: int) -> Objective:
        """The loss, of the network at a starting point."""
        return Objective(self.problem.model(seed), self.images, batch_norm="batch")

    def path(self, points: int) -> np.ndarray:
        """The losses of a path."""
        return np.array(path(self.f, self.f.theta, self.objective(1).theta, alphas=steps(points)).losses)

    def plane(self, points: int) -> np.ndarray:
        """The losses of a plane; rows go with the second direction."""
        start, first, second = self.f.theta, self.objective(1).theta, self.objective(2).theta
        grid = Grid(tuple(step - 1 / points for step in steps(points)), tuple(steps(points)))
        return np.array(plane(self.f, start, first - start, second - start, grid=grid).losses)


class Plain:
    """A loop in plain PyTorch."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.images, self.model = problem, problem.examples(), problem.model()

    def states(self, count: int) -> list[dict[str, Tensor]]:
        """So many starting points."""
        return [self.problem.model(seed).state_dict() for seed in range(count)]

    @torch.no_grad()
    def at(self, states: list[dict[str, Tensor]], *shares: float) -> float:
        """The loss at a weighted sum of states."""
        mixed = {
            name: sum(share * state[name] for share, state in zip(shares, states, strict=True)) for name in states[0]
        }
        self.model.load_state_dict(mixed)
        return mean_loss(self.model, self.images)

    def path(self, points: int) -> np.ndarray:
        """The losses of a path."""
        ends = self.states(2)
        return np.array([self.at(ends, 1 - alpha, alpha) for alpha in steps(points)])

    def plane(self, points: int) -> np.ndarray:
        """The losses of a plane; rows go with the second direction."""
        ends, alphas = self.states(3), [step - 1 / points for step in steps(points)]
        return np.array([[self.at(ends, 1 - a - b, a, b) for a in alphas] for b in steps(points)])


class LossLandscapes:
    """loss-landscapes with a metric that goes over the batches."""

    def __init__(self, problem: Problem) -> None:
        import loss_landscapes
        from loss_landscapes.metrics import Metric

        images = problem.examples()

        class MeanLoss(Metric):
            """The loss over all batches."""

            def __call__(self, model_wrapper: Any) -> float:
                """Evaluate."""
                return mean_loss(model_wrapper.forward, images)

        self.problem, self.library, self.metric = problem, loss_landscapes, MeanLoss()

    def ends(self, count: int) -> list[torch.nn.Module]:
        """The network at so many starting points."""
        return [self.problem.model(seed) for seed in range(count)]

    def path(self, points: int) -> np.ndarray:
        """The losses of a path."""
        return self.library.linear_interpolation(*self.ends(2), self.metric, steps=points, deepcopy_model=True)

    def plane(self, points: int) -> np.ndarray:
        """The losses of a plane; rows go with the second direction."""
        return self.library.planar_interpolation(*self.ends(3), self.metric, steps=points, deepcopy_model=True).T


MAKERS: dict[str, Callable[[Problem], Any]] = {
    "sharpmin": Sharpmin,
    "plain": Plain,
    "loss-landscapes": LossLandscapes,
}


def same_losses(task: str, side: str, theirs: np.ndarray, ours: np.ndarray) -> bool:
    """Whether a side evaluated the same points of the same function as ours, within 1e-4."""
    if task == "plane" and side.startswith("loss-landscapes"):
        theirs, ours = undisplaced(theirs, ours)
    return np.allclose(theirs, ours, rtol=1e-4, atol=1e-4)


def undisplaced(theirs: np.ndarray, ours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points both have: of loss-landscapes' every second column all but the first, which lie a step lower."""
    pairs = [(theirs[1:, c], ours[:-1, c]) if c % 2 else (theirs[:, c], ours[:, c]) for c in range(theirs.shape[1])]
    return np.concatenate([one for one, _ in pairs]), np.concatenate([other for _, other in pairs])
