"""What is asked of f at a moment of a training, and what is remembered from one moment to the next.

Two vectors [n] are kept, on the CPU: theta_0, from which the distance is taken, and the top eigenvector of the last
time. The next Lanczos search starts from that: where the sharpest direction has turned little it needs a few products
instead of a dozen, where it has turned much as many as before. A tenth of random noise is mixed in, because from an
exact eigenvector no search would ever see that another one has overtaken it.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sharpmin.errors import UsageError
from sharpmin.measures import noise_scale, sharpness, spectrum
from sharpmin.objective import Objective

NOISE = 0.1  # length of what is mixed into the unit vector that a search starts from
TOLERANCE = 1e-2  # residual over eigenvalue; the eigenvalue's own error is usually of the order of its square
MOST_PRODUCTS = 100
PLAIN = (bool, int, float, str)


class Answer(NamedTuple):
    """A number, and what makes it believable."""

    value: float
    evidence: dict[str, Any]


class Memory:
    """What the questions need beside f, and what they remember.

    Attributes:
        start: theta_0, [n].
        noise_batch: examples per batch of the noise scale, or None for its own choice.
        seed: of what is random in a measure.
        eigenvector: the last one, [n], or None.

    """

    def __init__(self, start: Tensor, *, noise_batch: int | None, seed: int) -> None:
        self.start, self.noise_batch, self.seed = start, noise_batch, seed
        self.eigenvector: Tensor | None = None

    def warm_start(self) -> Tensor | None:
        """The last eigenvector with some noise."""
        if self.eigenvector is None:
            return None
        random = torch.randn(len(self.eigenvector), generator=torch.Generator().manual_seed(self.seed))
        return self.eigenvector + NOISE * random / random.norm()


Question = Callable[[Objective, Memory], Answer]


def loss(objective: Objective, memory: Memory) -> Answer:
    """f(theta)."""
    found = objective.measure(objective.theta)
    return Answer(found.loss, scalars(found, without="loss"))


def distance(objective: Objective, memory: Memory) -> Answer:
    """|theta - theta_0|."""
    apart = objective.theta.cpu() - memory.start
    return Answer(torch.linalg.vector_norm(apart, dtype=torch.float64).item(), {})


def lambda_max(objective: Objective, memory: Memory) -> Answer:
    """The largest eigenvalue of the Hessian."""
    found = spectrum(
        objective, k=1, tol=TOLERANCE, max_products=MOST_PRODUCTS, start=memory.warm_start(), seed=memory.seed
    )
    warm, memory.eigenvector = memory.eigenvector is not None, found.eigenvectors[0].cpu()
    residual = {"residual": found.residuals[0].item(), "converged": bool(found.converged[0]), "warm": warm}
    return Answer(found.eigenvalues[0].item(), {**residual, **scalars(found)})


def gradient_noise(objective: Objective, memory: Memory) -> Answer:
    """The gradient noise scale, in examples."""
    found = noise_scale(objective, batch_size=memory.noise_batch, seed=memory.seed)
    return Answer(found.value, scalars(found, without="value"))


def metric_2_1(objective: Objective, memory: Memory) -> Answer:
    """Metric 2.1 in the full space at epsilon = 1e-3, in percent."""
    found = sharpness(objective, seed=memory.seed)
    return Answer(found.value, scalars(found, without="value"))


MEASURES: Mapping[str, Question] = {
    "loss": loss,
    "distance": distance,
    "lambda-max": lambda_max,
    "noise-scale": gradient_noise,
    "metric-2.1": metric_2_1,
}


def chosen(names: tuple[str, ...], own: Mapping[str, Callable[[Objective], Any]]) -> dict[str, Question]:
    """The questions of these names, and the caller's own.

    Raises:
        UsageError: an unknown name, or one of the caller's own that is taken.

    """
    if unknown := [name for name in names if name not in MEASURES]:
        raise UsageError(f"no such measure: {', '.join(map(str, unknown))}; choose among {', '.join(MEASURES)}")
    if taken := [name for name in own if name in MEASURES]:
        raise UsageError(f"also names {', '.join(taken)}, which are measures already: choose other names")
    return {**{name: MEASURES[name] for name in names}, **{name: asking(measure) for name, measure in own.items()}}


def asking(measure: Callable[[Objective], Any]) -> Question:
    """A measure of the caller's own, which gives a number, or a result with a `value`."""

    def ask(objective: Objective, memory: Memory) -> Answer:
        found = measure(objective)
        return Answer(float(getattr(found, "value", found)), scalars(found, without="value"))

    return ask


def scalars(result: Any, *, without: str = "") -> dict[str, Any]:
    """The fields of a result that are plain numbers and words."""
    if not is_dataclass(result):
        return {}
    values = {field.name: getattr(result, field.name) for field in fields(result) if field.name != without}
    return {name: value for name, value in values.items() if value is None or isinstance(value, PLAIN)}
