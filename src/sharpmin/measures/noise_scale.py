"""How noisy the gradient of a batch is: the gradient noise scale, and the critical batch size it predicts.

    B_simple = tr(Sigma) / |G|^2,    G = the gradient of f,    Sigma = the covariance of the examples' gradients.

The gradient of a batch of B_simple examples has noise as large as itself. Far below, twice the batch takes half the
steps; far above, as many (McCandlish et al. 2018, sections 2.2 and 2.3).

Both are estimated without bias from the gradients of batches, or of single examples: `sharpmin.measures.batch_variance`
has the formulas and the standard errors. What f is the mean of is for the caller to say:

"data"        these N examples and nothing else. Batches are then drawn from N without replacement, and a full pass
              knows G exactly.
"population"  what the examples were drawn from, as in the paper. A full pass still leaves G uncertain.

There are two passes: one finds g, the other how the batches lie around it. So no gradients are kept but g, and S is
not the small difference of two large numbers.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from sharpmin.batching import Pair
from sharpmin.batchnorm import mixes
from sharpmin.errors import UsageError
from sharpmin.measures.batch_variance import NOTHING, Spread, estimate, ratio
from sharpmin.measures.gradient_samples import FEWEST, Rows, Unit, draw
from sharpmin.objective import Objective
from sharpmin.progress import Progress, silent

Target = Literal["data", "population"]
Estimator = Literal["auto", "batches", "examples"]

SAME = 1e-3  # relative; what the losses of two passes may differ by, which is rounding, in bfloat16 too

MESSAGES = {
    "measured": "|G|^2 is more than two standard errors above 0",
    "uncertain": "|G|^2 is within two standard errors of 0: trust only the lower bound, or use more examples",
    "pure_noise": "no gradient was seen in the noise, the estimate of |G|^2 is not above 0: trust only the lower "
    "bound, or use more examples",
    "no_gradient": "every gradient is exactly 0, and 0 / 0 is no noise scale",
    "non_finite": "f or its gradient is not finite at theta",
}
AT_THIS_SIZE = (
    "what an example adds to f depends on the others of its batch (BatchNorm's statistics, a contrastive loss) or on "
    "random numbers, so this holds for batches of this size; "
)


@dataclass(frozen=True)
class NoiseScale:
    """The gradient noise scale at one point, with what makes it believable.

    Attributes:
        value: B_simple, in examples. Infinite where the estimate of |G|^2 is not above 0, NaN where all is 0 or f is
            not finite.
        standard_error: of value. Infinite where |G|^2 is not above 0 once a batch is left out, NaN where value is not
            finite. (A ratio of unbiased numbers is a little too large: by about its squared error over value.)
        lower_bound: what B_simple hardly lies below: the inverse of 1 / value plus two of its standard errors; as a
            rule finite in pure noise too.
        gradient_norm_squared: the estimate of |G|^2; it may be negative.
        gradient_norm_squared_error: its standard error.
        covariance_trace: S, the estimate of tr(Sigma).
        covariance_trace_error: its standard error.
        loss: the mean loss of the examples used.
        of: "data" or "population".
        estimator: "batches" or "examples".
        examples: n.
        batches: m; with "examples", single examples are the batches.
        batch_size: b; of several sizes the largest.
        shuffled: whether the batches were drawn at random here; where not, they are the data's own.
        status: "measured", "uncertain", "pure_noise", "no_gradient" or "non_finite".
        message: the same in a sentence.
        seconds: time taken.
        seed: of the random order.
        batch_norm: policy of f.
        precision: of f.

    """

    value: float
    standard_error: float
    lower_bound: float
    gradient_norm_squared: float
    gradient_norm_squared_error: float
    covariance_trace: float
    covariance_trace_error: float
    loss: float
    of: Target
    estimator: Unit
    examples: int
    batches: int
    batch_size: int
    shuffled: bool
    status: str
    message: str
    seconds: float
    seed: int
    batch_norm: str
    precision: str

    @property
    def critical_batch_size(self) -> float:
        """The batch size predicted: value in whole examples, at least 1; infinite or NaN where value is."""
        return max(1.0, float(math.ceil(self.value))) if math.isfinite(self.value) else self.value

    def relative_steps(self, batch_size: int) -> float:
        """Steps to a loss, over those that the largest batches take: 1 + value / batch_size."""
        return 1 + self.value / batch_size

    def relative_examples(self, batch_size: int) -> float:
        """Examples seen on the way to a loss, over those that the smallest batches take: 1 + batch_size / value."""
        return 1 + ratio(batch_size, self.value)


def noise_scale(
    objective: Objective,
    *,
    theta: Tensor | None = None,
    of: Target = "data",
    estimator: Estimator = "auto",
    batch_size: int | None = None,
    max_batches: int | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> NoiseScale:
    """Measure the gradient noise scale B_simple = tr(Sigma) / |G|^2 of f at theta.

    What it is not:

    - It belongs to one theta, and grows during training, as |G| shrinks.
    - The theory asks for B_noise = tr(H Sigma) / (G . H G), which is B_simple where the Hessian H is a multiple of 1.
    - The theory is that of plain SGD at its best learning rate; momentum and Adam are not in it.
    - Where BatchNorm uses the statistics of the batch, or the loss ties examples together (contrastive losses), an
      example has no gradient of its own. G and Sigma are then the mean and b times the covariance of the gradients of
      batches of b examples, of this b only.

    Args:
        objective: f. Its tensors are read in random order. The batches of an iterable are taken as they come and must
            be random samples, as those of `DataLoader(shuffle=True)`; stored class by class, they measure the classes.
        theta: [n]; by default the model's present weights.
        of: "data", f is the mean over these examples; "population", over that which they were drawn from. Where theta
            was fitted to these examples, only the first makes sense.
        estimator: "examples" takes a gradient for every example, "batches" for every batch; "auto" takes "examples"
            for tensors, where these gradients exist, can be taken many at a time and are at most 2^28 numbers.
        batch_size: of "batches", for tensors; by default a hundredth of the examples, at most the objective's; where
            examples are tied together the objective's, or an eighth of the examples where that gives fewer than 3.
            With one given, "auto" takes "batches".
        max_batches: use at most so many (of "examples", so many examples); by default all. With one given, "auto"
            takes "batches".
        seed: of the random order.
        progress: told the batches done.

    Returns:
        The noise scale with its evidence; two passes over the examples used.

    Raises:
        UsageError: fewer than 3 batches, a batch size below 1 or for data that has its own, per-example gradients
            where there are none, a part of an iterable with of="data", two passes that differ, theta of another
            network, "recalibrate".

    Example:
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> result = noise_scale(Objective(torch.nn.Linear(4, 3), toy.train))
        >>> result.status, result.estimator, result.batches
        ('measured', 'examples', 64)
        >>> result.relative_steps(round(result.value)) > 1.9
        True

    Source: McCandlish et al. 2018, "An Empirical Model of Large-Batch Training", sections 2.2, 2.3, appendix A.1.

    """
    check(objective, of, estimator, batch_size, max_batches)
    began = time.perf_counter()
    x = objective.theta if theta is None else theta.detach().to(objective.device)
    sample = draw(objective, x, unit=estimator, batch_size=batch_size, max_batches=max_batches, seed=seed)
    told = Told(progress)
    centre = find_centre(told.of(sample.batches()))
    spread = find_spread(told.of(sample.units()), centre)
    population = math.inf if of == "population" else centre.examples / sample.share
    found = estimate(spread, population=population) if math.isfinite(centre.loss) else NOTHING
    return NoiseScale(
        value=found.ratio.value,
        standard_error=found.ratio.error,
        lower_bound=found.lower_bound,
        gradient_norm_squared=found.norm_squared.value,
        gradient_norm_squared_error=found.norm_squared.error,
        covariance_trace=found.trace.value,
        covariance_trace_error=found.trace.error,
        loss=centre.loss / centre.examples,
        of=of,
        estimator=sample.unit,
        examples=centre.examples,
        batches=len(spread.sizes),
        batch_size=int(spread.sizes.max()),
        shuffled=isinstance(objective.data, Pair),
        status=found.status,
        message=AT_THIS_SIZE * sample.coupled + MESSAGES[found.status],
        seconds=time.perf_counter() - began,
        seed=seed,
        batch_norm=objective.batch_norm,
        precision=objective.precision,
    )


class Centre(NamedTuple):
    """The mean gradient g [n] in float64, the sum of the losses, and the number of examples."""

    gradient: Tensor
    loss: float
    examples: int


def find_centre(source: Iterator[Rows]) -> Centre:
    """First pass: the mean gradient."""
    total, loss, examples = None, 0.0, 0
    for rows in source:
        gradient = rows.gradients.sum(0, dtype=torch.float64)
        total = gradient if total is None else total.add_(gradient)
        loss += sum(rows.losses)
        examples += sum(rows.sizes)
    if total is None:
        raise UsageError("the data gave no examples; a generator can be read only once, and two passes are needed")
    return Centre(total.div_(examples), loss, examples)


def find_spread(source: Iterator[Rows], centre: Centre) -> Spread:
    """Second pass: how the batches, or examples, lie around the mean gradient."""
    losses, sizes = list[float](), list[int]()
    squares, along = list[Tensor](), list[Tensor]()
    for rows in source:
        mean = centre.gradient.to(rows.gradients)
        apart = rows.gradients.addr_(mean.new_tensor(rows.sizes), mean, alpha=-1)
        squares.append(torch.linalg.vector_norm(apart, dim=1, dtype=torch.float64).square().cpu())
        along.append((apart @ mean).double().cpu())
        losses += rows.losses
        sizes += rows.sizes
    check_passes(centre, losses, sizes)
    norm_squared = centre.gradient.square().sum().item()
    return Spread(torch.tensor(sizes, dtype=torch.float64), torch.cat(squares), torch.cat(along), norm_squared)


class Told:
    """Counts the steps of both passes and tells them."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.done = progress, 0

    def of(self, source: Iterator[Rows]) -> Iterator[Rows]:
        """The rows of the source."""
        for rows in source:
            self.done += 1
            self.progress("noise scale", self.done, None, unit="batches")
            yield rows


def check_passes(centre: Centre, losses: list[float], sizes: list[int]) -> None:
    """Raise a UsageError for a second pass over other numbers than the first, or over too few batches."""
    apart, scale = abs(sum(losses) - centre.loss), sum(map(abs, losses))
    if sum(sizes) != centre.examples or apart > SAME * scale:
        raise UsageError(
            f"two passes over the data gave losses of {centre.loss:.6g} and {sum(losses):.6g} from {centre.examples} "
            f"and {sum(sizes)} examples: does the data or the loss draw random numbers of its own, or is the data a "
            "generator, which can be read only once?"
        )
    if len(sizes) < FEWEST:
        raise UsageError(
            f"{len(sizes)} batches of one kind are too few for a variance: ask for at least {FEWEST}, better 100, with "
            "a smaller batch_size or more examples"
        )


def check(objective: Objective, of: str, estimator: str, batch_size: int | None, max_batches: int | None) -> None:
    """Raise a UsageError for a measurement that cannot be made."""
    objective.check_differentiable()
    if of not in get_args(Target):
        raise UsageError(f"unknown of={of!r}: choose data or population")
    if estimator not in get_args(Estimator):
        raise UsageError(f"unknown estimator {estimator!r}: choose auto, batches or examples")
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"batch_size is {batch_size}: it must be at least 1")
    if max_batches is not None and max_batches < FEWEST:
        raise UsageError(f"max_batches is {max_batches}: it must be at least {FEWEST}")
    if estimator == "examples":
        check_examples(objective, batch_size)
    if not isinstance(objective.data, Pair):
        check_iterable(of, batch_size, max_batches)


def check_examples(objective: Objective, batch_size: int | None) -> None:
    """Raise a UsageError where per-example gradients are wanted and do not exist, or cannot be had."""
    if mixes(objective.model, objective.batch_norm):
        raise UsageError(
            "BatchNorm uses the statistics of the batch, so a single example has no gradient of its own: use "
            'estimator="batches", or, where the model keeps running statistics, batch_norm="running"'
        )
    if not isinstance(objective.data, Pair):
        raise UsageError(
            "single examples are cut from tensors, not from an iterable's batches: give the data as an object with "
            'tensors inputs and targets, or let the iterable give batches of one and use estimator="batches"'
        )
    if batch_size is not None:
        raise UsageError('batch_size is of estimator="batches"; estimator="examples" takes single examples')


def check_iterable(of: str, batch_size: int | None, max_batches: int | None) -> None:
    """Raise a UsageError for what an iterable's own batches cannot give."""
    if batch_size is not None:
        raise UsageError("the data is an iterable and has batches of its own: set their size there, not batch_size")
    if of == "data" and max_batches is not None:
        raise UsageError(
            'of="data" needs the number of examples in the data, which an iterable does not tell before its end: '
            'leave max_batches out, or ask for of="population" (no different where the data is large)'
        )
