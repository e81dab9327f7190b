"""How far the loss rises on average when the weights are shaken: Gaussian sharpness.

    E f(x + sigma z) - f(x),    z ~ N(0, I_n);    for a quadratic f this is sigma^2 tr(H) / 2.

Estimated from pairs, x + sigma z and x - sigma z: each pair's mean rise

    r_k = (f(x + sigma z_k) + f(x - sigma z_k)) / 2 - f(x)

is unbiased, and everything odd in z has cancelled, the first-order term sigma g.z before all. The standard error is
that of the mean of the m independent r_k. Pairs are not free: at an exact minimum of a quadratic f the two halves of
a pair are equal, and 2 m independent points would have a standard error smaller by sqrt(2). That is the most that
pairs can lose; what they gain has no bound (for a quadratic f they win where |g|^2 > sigma^2 tr(H^2) / 2). Which it
was is in the result: `unpaired_error` is the standard error that 2 m independent points would have had, estimated from
the same values: the variance of one point is that of the even part plus that of the odd.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sharpmin.errors import UsageError
from sharpmin.objective import Objective
from sharpmin.progress import Progress, silent


@dataclass(frozen=True, eq=False)
class AverageCase:
    """The mean rise of f under Gaussian noise on the weights, with what makes it believable.

    Attributes:
        value: the mean of f(theta + sigma z) - f(theta), in units of the loss; of either sign. Infinite where f became
            infinite, NaN where f is not finite at theta or became NaN.
        standard_error: of value, over the pairs, and rough from few of them (docs/curvature.md); NaN where value is not
            finite.
        unpaired_error: what it would have been for as many independent points; smaller only where pairs were a loss.
        loss: f(theta).
        mean_loss: loss + value.
        max_loss: the largest f met, theta included; NaN where f became NaN.
        displacement: y, [n]: f(theta + y) is max_loss.
        sigma: standard deviation of the noise on each weight.
        samples: pairs evaluated; fewer than asked for where f became infinite or NaN.
        evaluations: of f, all included.
        status: "samples", "infinite" or "non_finite".
        message: the same in a sentence.
        seconds: time taken.
        seed: of the noise.
        batch_norm: policy of f.
        batch_size: evaluation batch of f; None where the data came in batches of their own.
        precision: of f.

    """

    value: float
    standard_error: float
    unpaired_error: float
    loss: float
    mean_loss: float
    max_loss: float
    displacement: Tensor
    sigma: float
    samples: int
    evaluations: int
    status: str
    message: str
    seconds: float
    seed: int
    batch_norm: str
    batch_size: int | None
    precision: str


MESSAGES = {
    "samples": "all pairs were evaluated",
    "infinite": "f was infinite at the displacement, so the mean is",
    "non_finite": "f was not finite at theta, or NaN at the displacement: there is no mean",
}


def gaussian_sharpness(
    objective: Objective,
    *,
    theta: Tensor | None = None,
    sigma: float = 1e-2,
    samples: int = 50,
    seed: int = 0,
    progress: Progress = silent,
) -> AverageCase:
    """Measure the mean rise of f under Gaussian noise: E f(theta + sigma z) - f(theta).

    Args:
        objective: f.
        theta: x, [n]; by default the model's present weights.
        sigma: standard deviation of the noise on each weight, in the units of the weights.
        samples: pairs of points, at least 2.
        seed: of the noise; a prefix of more samples, and the same on every device and in every precision.
        progress: told the evaluations done.

    Returns:
        The mean rise with its standard error; 2 `samples` + 1 evaluations of f, none of its gradient.

    Raises:
        UsageError: sigma not above 0, fewer than 2 samples, theta of another network.

    Example:
        >>> from torch import nn
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> f = Objective(nn.Linear(4, 3), toy.train)
        >>> result = gaussian_sharpness(f, sigma=0.1)
        >>> result.value > 3 * result.standard_error  # cross-entropy is convex in the weights of one layer
        True

    Source: Andriushchenko et al. 2023, average-case sharpness, not adaptive; without their batches.

    """
    check(sigma, samples)
    began = time.perf_counter()
    x = objective.theta if theta is None else theta.detach().to(objective.device)
    cloud = Cloud(objective, x, total=2 * samples + 1, progress=progress)
    if math.isfinite(cloud.loss):
        for noise in draws(x, samples, sigma=sigma, seed=seed):
            if not math.isfinite(cloud.pair(noise)):
                break
    value, error, unpaired = cloud.mean()
    status = "samples" if math.isfinite(value) else "infinite" if value == math.inf else "non_finite"
    return AverageCase(
        value=value,
        standard_error=error,
        unpaired_error=unpaired,
        loss=cloud.loss,
        mean_loss=cloud.loss + value,
        max_loss=cloud.best_loss,
        displacement=cloud.best,
        sigma=sigma,
        samples=len(cloud.even),
        evaluations=cloud.evaluations,
        status=status,
        message=MESSAGES[status],
        seconds=time.perf_counter() - began,
        seed=seed,
        batch_norm=objective.batch_norm,
        batch_size=objective.batch_size,
        precision=objective.precision,
    )


class Cloud:
    """f at pairs of points around x; remembers the rises, and the largest value met and where (NaN is the largest)."""

    def __init__(self, objective: Objective, x: Tensor, *, total: int, progress: Progress) -> None:
        self.objective, self.x, self.total, self.progress = objective, x, total, progress
        self.best, self.best_loss, self.evaluations = torch.zeros_like(x), -math.inf, 0
        self.even: list[float] = []
        self.odd: list[float] = []
        self.loss = self.evaluate(self.best)

    def pair(self, noise: Tensor) -> float:
        """The mean rise at x + noise and x - noise."""
        there, opposite = self.evaluate(noise) - self.loss, self.evaluate(-noise) - self.loss
        self.even.append((there + opposite) / 2)
        self.odd.append((there - opposite) / 2)
        return self.even[-1]

    def evaluate(self, y: Tensor) -> float:
        """f(x + y)."""
        loss = self.objective.value(self.x + y)
        self.evaluations += 1
        if loss > self.best_loss or math.isnan(loss) or self.evaluations == 1:
            self.best, self.best_loss = y, loss
        self.progress(
            "gaussian sharpness",
            self.evaluations,
            self.total,
            unit="evaluations",
            note=f"highest loss {self.best_loss:.4f}",
        )
        return loss

    def mean(self) -> tuple[float, float, float]:
        """The mean rise, its standard error over the pairs, and that of as many independent points."""
        even = torch.tensor(self.even, dtype=torch.float64)
        odd = torch.tensor(self.odd, dtype=torch.float64)
        if not bool(even.isfinite().all()) or not self.even:
            return even.mean().item(), math.nan, math.nan
        of_even, of_odd = even.var().item(), odd.square().mean().item()  # the odd part has mean 0
        count = len(even)
        return even.mean().item(), math.sqrt(of_even / count), math.sqrt((of_even + of_odd) / (2 * count))


def draws(x: Tensor, count: int, *, sigma: float, seed: int) -> Iterator[Tensor]:
    """`count` times sigma z, [n], like x; drawn on the CPU in float32, so the same everywhere."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        yield torch.randn(len(x), generator=generator, dtype=torch.float32).to(x).mul_(sigma)


def check(sigma: float, samples: int) -> None:
    """Raise a UsageError for noise that makes no sense."""
    if not (sigma > 0 and math.isfinite(sigma)):
        raise UsageError(f"sigma is {sigma}: it must be a finite number above 0")
    if samples < 2:
        raise UsageError(f"{samples} samples: ask for at least 2, a standard error needs them")
