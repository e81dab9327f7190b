"""How long a training step takes: measured at small batches, in turn, and a line through them for large ones.

    t(n) = a + b n

a is what a step costs at any size (Adam, the weights' gradient), b what an example costs. The small batch and the
larger one take turns; each round gives a line of its own, and the rounds' spread is that of the prediction.
"""

import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from sharpmin.arithmetic import Precision
from sharpmin.optimizers import LEARNING_RATES, make
from sharpmin.remedies.gradient import mean_gradient

ROUNDS = 3
RATIO = 4  # of the larger batch to the small one
FIRST = 32  # examples; below, a step says little about a large one


@dataclass(frozen=True)
class Summary:
    """Several measurements of one number: their median, minimum, maximum, and how many."""

    median: float
    minimum: float
    maximum: float
    n: int

    def times(self, factor: float) -> "Summary":
        """The same in another unit."""
        return Summary(self.median * factor, self.minimum * factor, self.maximum * factor, self.n)


def summary(values: Iterable[float]) -> Summary:
    """Summarise.

    Example:
        >>> summary([3, 1, 2])
        Summary(median=2, minimum=1, maximum=3, n=3)

    """
    values = list(values)
    return Summary(statistics.median(values), min(values), max(values), len(values))


class TrainingStep:
    """A step of training on made-up examples, to be timed: that of `train`, by Adam.

    The model's weights change.

    Args:
        network: gives logits; the model, or the model in blocks.
        shape: of one input.
        classes: of the targets.
        precision: of the arithmetic.
        channels_last: the layout of images and of convolutions' weights.

    """

    def __init__(
        self,
        network: nn.Module,
        shape: tuple[int, ...],
        classes: int,
        *,
        precision: Precision = "float32",
        channels_last: bool = True,
    ) -> None:
        self.network, self.shape, self.classes, self.precision = network, shape, classes, precision
        self.layout = torch.channels_last if channels_last and len(shape) == 3 else torch.contiguous_format
        network.to(memory_format=self.layout)  # type: ignore[call-overload]
        self.adam = make("adam", network, learning_rate=LEARNING_RATES["adam"])
        self.random = torch.Generator().manual_seed(0)

    def seconds(self, examples: int) -> float:
        """How long a step of so many examples takes."""
        inputs = torch.rand(examples, *self.shape, generator=self.random).contiguous(memory_format=self.layout)
        targets = torch.randint(self.classes, (examples,), generator=self.random)
        with torch.random.fork_rng(devices=[]):
            began = time.perf_counter()
            self.adam.zero_grad()
            mean_gradient(self.network, inputs, targets, precision=self.precision, layout=self.layout)
            self.adam.step()
            return time.perf_counter() - began


@dataclass(frozen=True)
class Timed:
    """Steps at two sizes, in turn.

    Attributes:
        sizes: examples of the small batch and of the larger.
        rounds: seconds at each, a pair for each round.

    """

    sizes: tuple[int, int]
    rounds: tuple[tuple[float, float], ...]

    def predicted(self, examples: int) -> Summary:
        """Seconds of a step of so many examples, by each round's line.

        Example:
            >>> Timed((10, 30), ((1.0, 2.0), (1.0, 3.0))).predicted(50)
            Summary(median=4.0, minimum=3.0, maximum=5.0, n=2)

        """
        few, more = self.sizes
        found = []
        for short, long in self.rounds:
            each = (long - short) / (more - few)
            start = short - few * each
            line = start + each * examples if each > 0 and start >= 0 else long / more * examples
            found.append(line)
        return summary(found)


def timed(step: TrainingStep, *, most: int, budget: float) -> Timed:
    """Time a step at two small sizes for about so many seconds.

    Args:
        step: what to time.
        most: the largest size to try.
        budget: seconds.

    """
    size = min(FIRST, most)
    while warm(step, size) < budget / (1.5 * ROUNDS) and size < most:
        size = min(2 * size, most)
    few = max(1, size // RATIO)
    warm(step, few)
    rounds = [(step.seconds(few), step.seconds(size)) for _ in range(ROUNDS)]
    return Timed((few, size), tuple(rounds))


def warm(step: TrainingStep, examples: int) -> float:
    """Seconds of a second step of this size; the first finds out how to compute it."""
    step.seconds(examples)
    return step.seconds(examples)
