"""Metric 2.1 in the full space: sharpmin's, and SciPy's L-BFGS-B around a plain PyTorch loop.

Both start in the corner of the box that the gradient points to, take ten iterations without tolerances and report the
best point seen: the choices of docs/sharpness.md, written twice.
"""

import numpy as np
import plain_port
import torch
from torch.nn import functional as F

from sharpmin.measures import sharpness
from sharpmin.objective import Objective
from sides.problem import Problem

EPSILON, ITERATIONS = 1e-3, 10
Found = dict[str, float]


class Loop:
    """The mean loss and its gradient in plain PyTorch, as SciPy wants them: vectors in float64."""

    def __init__(self, problem: Problem) -> None:
        self.model, self.images = problem.model(), problem.examples()
        self.best, self.calls = -np.inf, 0

    def start(self) -> np.ndarray:
        """The weights."""
        return np.concatenate([w.detach().numpy().ravel() for w in self.model.parameters()]).astype(np.float64)

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss and its gradient at theta."""
        torch.nn.utils.vector_to_parameters(torch.from_numpy(theta).float(), self.model.parameters())
        self.model.zero_grad()
        total, size = 0.0, plain_port.EVALUATION_BATCH
        for inputs, targets in zip(self.images.inputs.split(size), self.images.targets.split(size), strict=True):
            loss = F.cross_entropy(self.model(inputs), targets, reduction="sum") / len(self.images)
            loss.backward()
            total += loss.item()
        slopes = [w.grad.numpy().ravel() for w in self.model.parameters() if w.grad is not None]
        self.best, self.calls = max(self.best, total), self.calls + 1
        return total, np.concatenate(slopes).astype(np.float64)


def by_scipy(problem: Problem, iterations: int = ITERATIONS) -> Found:
    """Metric 2.1 by SciPy and a loop."""
    from scipy.optimize import Bounds, minimize

    f = Loop(problem)
    x = f.start()
    loss, gradient = f(x)
    widths = EPSILON * (np.abs(x) + 1)

    def negated(y: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = f(x + y)
        return -value, -slope

    options = {"maxiter": iterations, "maxcor": 10, "ftol": 0.0, "gtol": 0.0, "maxfun": 10 * iterations}
    bounds = Bounds(-widths, widths)
    minimize(negated, widths * np.sign(gradient), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return {"loss": loss, "value": 100 * (f.best - loss) / (1 + loss), "evaluations": f.calls}


def by_sharpmin(problem: Problem, iterations: int = ITERATIONS) -> Found:
    """Metric 2.1 by sharpmin."""
    f = Objective(problem.model(), problem.examples(), batch_norm="batch")
    found = sharpness(f, epsilon=EPSILON, iterations=iterations)
    return {"loss": found.loss, "value": found.value, "evaluations": found.evaluations}
