"""How far the loss can rise in a ball around a point: the sharpness of SAM, of ASAM, and in the maximum norm.

    max { f(x + T u) - f(x) : |u| <= radius }

l2          T = 1, |u|_2 <= rho: Foret et al. 2021 (SAM), section 2. One step: y = rho g / |g|_2, their equation 2.
adaptive    T = diag(|x_i| + eta), |u|_2 <= rho: Kwon et al. 2021 (ASAM), element-wise.
            One step: y = rho T^2 g / |T g|_2.
linf        T = 1, max_i |u_i| <= epsilon, by the projected sign ascent of Madry et al. 2018, section 2.1.

Here x is theta, g the gradient of f at x, and y = T u the displacement of the weights.

What the papers leave open, and what we do:

value       the rise itself, as SAM's text defines sharpness: absolute, in units of the loss. Metric 2.1
            (`sharpmin.measures.sharpness`) is relative to 1 + f(x) and in percent.
search      `sharpmin.measures.ascent`, in the coordinates u; with T = diag(|x_i|) that makes the search, and not only
            the neighbourhood, indifferent to the rescaling of Dinh et al. 2017.
start       x. Where the gradient (of f in u) is exactly 0 there, a random point of the ball instead.
biases      T covers every element of theta. The code of ASAM's authors has T_ii = 1 for whatever is not called
            "weight", and eta = 0.01; either undoes the indifference to rescaling.
result      the best point seen, x itself included, so never below 0.

Every measure is a lower bound of the maximum, attained at the displacement that comes with it.
"""

import math
import time
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from sharpmin.errors import UsageError
from sharpmin.measures.ascent import Around, Ball, L2Ball, LinfBall, climb
from sharpmin.objective import Objective
from sharpmin.progress import Progress, silent

Neighbourhood = Literal["l2", "adaptive", "linf"]

MESSAGES = {
    "steps": "all steps were taken; more may find more",
    "stationary": "no step changed the point any more: to first order it is a maximum of the neighbourhood",
    "step_too_small": "the step was too small to change the point, though the gradient still led up from it: "
    "f has a kink there, or is level to its rounding, or step_size was tiny; another step_size may find more",
    "infinite": "f became infinite in the neighbourhood; the displacement is where",
    "non_finite": "f or its gradient was NaN (or the gradient infinite) at the last point",
    "no_rise": "no point tried was higher than theta; more steps or another radius may find one",
}
AT_RANDOM = "the gradient was exactly 0 at theta, so the ascent began at a random point of the neighbourhood; "


@dataclass(frozen=True, eq=False)
class WorstCase:
    """The largest rise of f found in a neighbourhood of theta, with what makes it believable.

    Attributes:
        value: max f - f(theta), in units of the loss; 0 or more. Infinite where f became infinite in the
            neighbourhood; NaN where f or its gradient is not finite at theta, or f became NaN in the neighbourhood.
        loss: f(theta).
        max_loss: the largest f seen; NaN where f became NaN.
        neighbourhood: "l2", "adaptive" or "linf".
        radius: rho or epsilon.
        eta: of the adaptive neighbourhood; None for the others.
        displacement: y, [n]: f(theta + y) is max_loss; inside the neighbourhood, to rounding.
        norm: the size of y in the norm of the neighbourhood; at most the radius, to rounding.
        step_size: of the first step, in that norm.
        steps: taken.
        evaluations: of f and its gradient, all included.
        start: "theta", or "random" where the gradient was exactly 0 at theta.
        status: "steps", "stationary", "step_too_small", "infinite", "non_finite" or "no_rise".
        message: the same in a sentence.
        first_order: the rise a linear f would have: rho |g|_2, rho |T g|_2 or epsilon |g|_1; the rest is curvature.
        seconds: time taken.
        seed: of the random start.
        batch_norm: policy of f.
        batch_size: evaluation batch of f; None where the data came in batches of their own.
        precision: of f.

    """

    value: float
    loss: float
    max_loss: float
    neighbourhood: Neighbourhood
    radius: float
    eta: float | None
    displacement: Tensor
    norm: float
    step_size: float
    steps: int
    evaluations: int
    start: Literal["theta", "random"]
    status: str
    message: str
    first_order: float
    seconds: float
    seed: int
    batch_norm: str
    batch_size: int | None
    precision: str


def l2_sharpness(
    objective: Objective,
    *,
    theta: Tensor | None = None,
    rho: float = 0.05,
    steps: int = 1,
    step_size: float | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> WorstCase:
    """Measure the sharpness of SAM: max f(theta + y) - f(theta) over |y|_2 <= rho.

    Args:
        objective: f.
        theta: x, [n]; by default the model's present weights.
        rho: radius, in the units of the weights (the paper's default: 0.05).
        steps: of ascent; 1 is SAM's.
        step_size: of the first step, in the units of the weights; by default 2 rho.
        seed: of the start where the gradient is exactly 0.
        progress: told the evaluations done.

    Returns:
        The largest rise found, with its evidence; `steps` + 1 evaluations, and one more for a random start.

    Raises:
        UsageError: rho or step_size not above 0, steps below 1, theta of another network.

    Example:
        >>> from torch import nn
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> f = Objective(nn.Linear(4, 3), toy.train)
        >>> one, ten = l2_sharpness(f), l2_sharpness(f, steps=10)
        >>> one.value <= ten.value
        True

    Source: Foret et al. 2021, section 2.

    """
    check("rho", rho)
    return worst_case(
        objective, "l2", L2Ball(rho), theta=theta, steps=steps, step_size=step_size, seed=seed, progress=progress
    )


def adaptive_sharpness(
    objective: Objective,
    *,
    theta: Tensor | None = None,
    rho: float = 0.5,
    eta: float = 0.0,
    steps: int = 1,
    step_size: float | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> WorstCase:
    """Measure the sharpness of ASAM: max f(theta + T u) - f(theta) over |u|_2 <= rho, with T = diag(|theta_i| + eta).

    With eta = 0 it does not change when the layers of a ReLU network are rescaled and its function stays the same.
    Weights that are exactly 0 then stay 0.

    Args:
        objective: f.
        theta: x, [n]; by default the model's present weights.
        rho: radius, relative to the weights (the paper's default: 0.5).
        eta: 0 or more, in the units of the weights (0.01 in the paper's training runs).
        steps: of ascent; 1 is ASAM's.
        step_size: of the first step in u; by default 2 rho.
        seed: of the start where T g is exactly 0.
        progress: told the evaluations done.

    Returns:
        The largest rise found, with its evidence; `steps` + 1 evaluations, and one more for a random start.

    Raises:
        UsageError: rho or step_size not above 0, eta below 0, steps below 1, theta of another network.

    Example:
        >>> from torch import nn
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> f = Objective(nn.Linear(4, 3), toy.train)
        >>> result = adaptive_sharpness(f, rho=0.1, steps=5)
        >>> (result.displacement / f.theta).norm().item() <= 0.1 * (1 + 1e-6)
        True

    Source: Kwon et al. 2021, adaptive sharpness with the element-wise T.

    """
    check("rho", rho)
    if not (eta >= 0 and math.isfinite(eta)):
        raise UsageError(f"eta is {eta}: it must be 0 or a number above")
    return worst_case(
        objective,
        "adaptive",
        L2Ball(rho),
        eta=eta,
        theta=theta,
        steps=steps,
        step_size=step_size,
        seed=seed,
        progress=progress,
    )


def linf_sharpness(
    objective: Objective,
    *,
    theta: Tensor | None = None,
    epsilon: float = 1e-3,
    steps: int = 10,
    step_size: float | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> WorstCase:
    """Measure the worst case in a cube: max f(theta + y) - f(theta) over |y_i| <= epsilon.

    Args:
        objective: f.
        theta: x, [n]; by default the model's present weights.
        epsilon: half the edge of the cube, in the units of the weights.
        steps: of ascent along the signs of the gradient.
        step_size: of the first step, in the units of the weights; by default 2 epsilon.
        seed: of the start where the gradient is exactly 0.
        progress: told the evaluations done.

    Returns:
        The largest rise found, with its evidence; at most `steps` + 1 evaluations, and one more for a random start.

    Raises:
        UsageError: epsilon or step_size not above 0, steps below 1, theta of another network.

    Example:
        >>> from torch import nn
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> f = Objective(nn.Linear(4, 3), toy.train)
        >>> result = linf_sharpness(f)
        >>> result.value >= 0.9 * result.first_order
        True

    Source: Madry et al. 2018, section 2.1, with weights in the place of inputs.

    """
    check("epsilon", epsilon)
    return worst_case(
        objective,
        "linf",
        LinfBall(epsilon),
        theta=theta,
        steps=steps,
        step_size=step_size,
        seed=seed,
        progress=progress,
    )


def worst_case(
    objective: Objective,
    neighbourhood: Neighbourhood,
    ball: Ball,
    *,
    eta: float | None = None,
    theta: Tensor | None,
    steps: int,
    step_size: float | None,
    seed: int,
    progress: Progress,
) -> WorstCase:
    """Climb in { x + T u : u in the ball } and report."""
    step = 2 * ball.radius if step_size is None else step_size
    check("step_size", step)
    if steps < 1:
        raise UsageError(f"{steps} steps: ask for at least 1")
    began = time.perf_counter()
    x = objective.theta if theta is None else theta.detach().to(objective.device)
    scale = 1.0 if eta is None else x.abs() + eta
    around = Around(objective, x, scale, task=f"{neighbourhood} sharpness", expected=steps + 1, progress=progress)
    centre = around.evaluate(around.best)
    at_random = math.isfinite(centre.loss) and centre.rests()
    ended = climb(around, ball, centre, at_random=at_random, steps=steps, step=step, seed=seed)
    around.report(around.evaluations)
    no_rise = ended.status in ("steps", "stationary") and around.best_loss == centre.loss
    status = "no_rise" if no_rise else ended.status
    return WorstCase(
        value=math.nan if centre.end() == "non_finite" else around.best_loss - centre.loss,
        loss=centre.loss,
        max_loss=around.best_loss,
        neighbourhood=neighbourhood,
        radius=ball.radius,
        eta=eta,
        displacement=around.best * scale,
        norm=ball.size(around.best),
        step_size=step,
        steps=ended.steps,
        evaluations=around.evaluations,
        start="random" if at_random else "theta",
        status=status,
        message=AT_RANDOM * at_random + MESSAGES[status],
        first_order=ball.rise(centre.slope),
        seconds=time.perf_counter() - began,
        seed=seed,
        batch_norm=objective.batch_norm,
        batch_size=objective.batch_size,
        precision=objective.precision,
    )


def check(name: str, length: float) -> None:
    """Raise a UsageError for a length that makes no sense."""
    if not (length > 0 and math.isfinite(length)):
        raise UsageError(f"{name} is {length}: it must be a finite number above 0")
