"""The density of the eigenvalues of the Hessian of f, or of its Gauss-Newton matrix: stochastic Lanczos quadrature.

After m Lanczos steps from a random vector of length 1, the m Ritz values t_i, weighted with w_i = (first coordinate of
their Ritz vector)^2, are a Gauss quadrature of the spectrum as that vector sees it. On average over vectors

    E sum_i w_i g(t_i) = (1/n) sum_j g(lambda_j)    for polynomials g of degree below 2m,

and the weights of a run add up to 1. The density is the mean over runs, each Ritz value spread into a Gaussian:

    density(t) = mean over runs of sum_i w_i N(t; t_i, sigma^2),    which integrates to 1.

Read it as a histogram: its area between two values is the share of eigenvalues there. An eigenvalue that stands alone
is 1/n of the area, and seen or not by chance; `sharpmin.measures.spectrum` finds those.
"""

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sharpmin.errors import UsageError
from sharpmin.measures.krylov import Krylov, Symmetric
from sharpmin.objective import Objective
from sharpmin.products import Curvature, curvature_of
from sharpmin.progress import Progress, silent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

F64 = torch.float64
TAILS = 6  # sigmas of grid beyond the outermost Ritz values
FINENESS = 4  # grid points a sigma
MOST_POINTS = 1_000_000


@dataclass(frozen=True, eq=False)
class Density:
    """The density of eigenvalues, with what makes it believable. Everything in float64.

    Attributes:
        grid: where it is given, evenly spaced, [G].
        density: [G]; eigenvalues are counted as shares, so it integrates to 1.
        standard_error: of the density at each point, over the runs, [G]; rough from few (docs/curvature.md), NaN
            from one.
        integral: of the density over the grid, by the trapezoidal rule.
        nodes: the Ritz values of each run, [runs, steps].
        weights: of each, [runs, steps]; a row adds up to 1.
        sigma: standard deviation of the Gaussians, in the units of the eigenvalues.
        products: of the matrix with a vector.
        size: n.
        seconds: time taken.
        seed: of the start vectors.
        matrix: "hessian" or "gauss-newton".
        method: how products were computed; see `sharpmin.products.curvature`.
        names: the weights that the matrix belongs to.
        batch_norm: policy of f.
        batch_size: evaluation batch of f; None where the data came in batches of their own.
        precision: of f.

    """

    grid: Tensor
    density: Tensor
    standard_error: Tensor
    integral: float
    nodes: Tensor
    weights: Tensor
    sigma: float
    products: int
    size: int
    seconds: float
    seed: int
    matrix: str
    method: str
    names: tuple[str, ...]
    batch_norm: str
    batch_size: int | None
    precision: str

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw it, its height on a logarithmic axis, on matplotlib axes or on new ones."""
        from sharpmin import plots

        return plots.on_axes(lambda axis: plots.draw_density(axis, self), ax)


def density(
    f: Objective | Curvature,
    *,
    runs: int = 3,
    steps: int = 50,
    sigma: float | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Density:
    """Estimate the density of the eigenvalues.

    Args:
        f: an objective, for its Hessian at the model's present weights; or a `Curvature`.
        runs: random vectors; the noise falls with their square root, and with that of n.
        steps: of Lanczos for each, at most n; details narrower than about the range of the eigenvalues over `steps` are
            not resolved. As many vectors [n] are held.
        sigma: of the Gaussians, in the units of the eigenvalues; by default a hundredth of their range.
        seed: of the random vectors.
        progress: told the products done.

    Raises:
        UsageError: no runs or steps, sigma not above 0 or too fine for a grid; whatever `Curvature` raises.

    Example:
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> found = density(Objective(torch.nn.Linear(4, 3), toy.train), runs=2, steps=10)
        >>> round(found.integral, 6)
        1.0

    Source: Lin, Saad and Yang 2016; Ghorbani, Krishnan and Xiao 2019, algorithm 1.

    """
    check(runs, steps, sigma)
    matrix, began = curvature_of(f), time.perf_counter()
    nodes, weights = quadratures(matrix, runs=runs, steps=steps, seed=seed, progress=progress)
    sigma = default_sigma(nodes) if sigma is None else sigma
    grid = even_grid(nodes, sigma)
    each = torch.stack([smoothed(grid, *rule, sigma) for rule in zip(nodes, weights, strict=True)])
    mean = each.mean(0)
    return Density(
        grid=grid,
        density=mean,
        standard_error=each.std(0) / math.sqrt(runs) if runs > 1 else torch.full_like(grid, math.nan),
        integral=torch.trapezoid(mean, grid).item(),
        nodes=nodes,
        weights=weights,
        sigma=sigma,
        products=nodes.numel(),
        size=matrix.size,
        seconds=time.perf_counter() - began,
        seed=seed,
        **matrix.evidence(),
    )


def quadratures(
    matrix: Symmetric, *, runs: int, steps: int, seed: int = 0, progress: Progress = silent
) -> tuple[Tensor, Tensor]:
    """The nodes and the weights of each run, [runs, steps] each; no more steps than rows.

    Example:
        >>> nodes, weights = quadratures(torch.diag(torch.tensor([1.0, 2.0, 3.0])), runs=2, steps=9)
        >>> nodes[0].round(decimals=4).tolist(), weights.sum(1).round(decimals=4).tolist()
        ([1.0, 2.0, 3.0], [1.0, 1.0])

    """
    steps, generator = min(steps, matrix.shape[0]), torch.Generator().manual_seed(seed)
    rules = []
    for run in range(runs):
        space = Krylov(matrix, most=steps + 1, generator=generator)
        for step in range(steps):
            space.grow()
            progress("density", run * steps + step + 1, runs * steps, unit="products")
        ritz = space.ritz()
        rules.append((ritz.values, ritz.coordinates[:, 0].square()))
    nodes, weights = zip(*rules, strict=True)
    return torch.stack(nodes), torch.stack(weights)


def smoothed(grid: Tensor, nodes: Tensor, weights: Tensor, sigma: float) -> Tensor:
    """Spread one run's nodes into Gaussians: its density on the grid, [G]."""
    total = torch.zeros_like(grid)
    for node, weight in zip(nodes.tolist(), weights.tolist(), strict=True):
        total += weight * torch.exp(-0.5 * ((grid - node) / sigma).square())
    return total / (sigma * math.sqrt(2 * math.pi))


def default_sigma(nodes: Tensor) -> float:
    """A hundredth of the range of the nodes; of their size where all are the same."""
    spread = (nodes.max() - nodes.min()).item()
    return (spread or nodes.abs().max().item() or 1.0) / 100


def even_grid(nodes: Tensor, sigma: float) -> Tensor:
    """A grid fine and wide enough for Gaussians around the nodes."""
    low, high = nodes.min().item() - TAILS * sigma, nodes.max().item() + TAILS * sigma
    points = math.ceil((high - low) / sigma * FINENESS) + 1
    if points > MOST_POINTS:
        raise UsageError(f"sigma is {sigma}: the eigenvalues range over {high - low:.3g}, give a larger one")
    return torch.linspace(low, high, points, dtype=F64)


def check(runs: int, steps: int, sigma: float | None) -> None:
    """Raise a UsageError for what makes no density."""
    if runs < 1 or steps < 1:
        raise UsageError(f"{runs} runs of {steps} steps: ask for at least 1 of each")
    if sigma is not None and not (sigma > 0 and math.isfinite(sigma)):
        raise UsageError(f"sigma is {sigma}: it must be a finite number above 0")
