"""Gradients of random batches of the data, or of its single examples: what a variance is estimated from.

A batch must be a random sample for its gradient to say how noisy gradients are. Tensors are therefore read in random
order; nothing is copied but the batch at hand. The batches of an iterable are taken as they come.

Per-example gradients are those of a batch of one, taken many at a time by `torch.func.vmap`; where a network or a
loss does not allow that, one at a time. They do not exist where BatchNorm ties the examples of a batch together.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap

from sharpmin.arithmetic import eps
from sharpmin.batching import Pair, Shuffled
from sharpmin.batchnorm import mixes
from sharpmin.determinism import differ, first_batch, loss_of
from sharpmin.errors import UsageError
from sharpmin.objective import Objective

Unit = Literal["batches", "examples"]

BATCHES = 100  # by default a pass is cut into so many batches or more: their variance is then good to 14 % or better
MIXED = 8  # likewise where examples are coupled, and the size belongs to f: no more than a variance needs
FEW = 64  # examples that show whether they are
SAME = 1e-4  # relative, of two losses of the same examples
FEWEST = 3  # batches: one is left out, and two make a variance
CHEAP = 2**28  # numbers in all per-example gradients together, up to which "auto" takes them
CHUNK = 2**25  # numbers in the per-example gradients held at a time
MOST_AT_ONCE = 256  # examples; their activations are held too


class Rows(NamedTuple):
    """Of k batches, or examples: the sums of their losses, their sizes, and the gradients of the sums, [k, n]."""

    losses: list[float]
    sizes: list[int]
    gradients: Tensor


@dataclass(frozen=True, eq=False)
class Sample:
    """Some of the examples, in an order; every pass meets the same ones.

    Attributes:
        objective: f over them.
        theta: where the gradients are taken, [n].
        unit: what is counted as one draw.
        share: of all examples, where these are a part; else 1.
        max_batches: to be read of an iterable.
        vectorised: whether per-example gradients are taken many at a time.
        coupled: whether what an example adds depends on the others of its batch.

    """

    objective: Objective
    theta: Tensor
    unit: Unit
    share: float = 1.0
    max_batches: int | None = None
    vectorised: bool = False
    coupled: bool = False

    def batches(self) -> Iterator[Rows]:
        """The gradients of the batches; where examples are coupled, only of those as large as the first."""
        size = None
        for found, gradient in islice(self.objective.gradients(self.theta), self.max_batches):
            size = size or found.examples
            if found.examples and (found.examples == size or not self.coupled):
                yield Rows([found.total.item()], [found.examples], gradient[None])

    def units(self) -> Iterator[Rows]:
        """The gradients of the units."""
        if not self.vectorised:
            return self.batches()
        size = max(1, min(MOST_AT_ONCE, CHUNK // len(self.theta)))
        return example_gradients(self.objective.over(self.objective.data, batch_size=size), self.theta)


def draw(
    objective: Objective,
    theta: Tensor,
    *,
    unit: Unit | Literal["auto"],
    batch_size: int | None,
    max_batches: int | None,
    seed: int,
) -> Sample:
    """Choose examples at random, and what is counted as one draw of them.

    Args:
        objective: f.
        theta: where the gradients are taken, [n].
        unit: "batches", "examples", or "auto": "examples" where nothing else is asked for, `vmap` can take them, and
            all of them together are at most `CHEAP` numbers.
        batch_size: of the batches; by default a hundredth of the examples, at most the objective's; where examples are
            coupled the objective's, or an eighth of the examples where the objective's gives fewer than 3.
        max_batches: to take, or examples; by default all.
        seed: of the order.

    Returns:
        The sample; of an iterable, its own batches.

    Raises:
        UsageError: single examples, where they have no gradient of their own.

    """
    if not isinstance(objective.data, Pair):
        own = mixes(objective.model, objective.batch_norm)
        return Sample(objective, theta, "batches", max_batches=max_batches, coupled=own)
    total, coupled = len(objective.data.inputs), couples(objective, theta)
    if unit == "auto":
        free = batch_size is None and max_batches is None and total * len(theta) <= CHEAP
        unit = "examples" if free and not coupled and vectorises(objective, theta) else "batches"
    if unit == "examples" and coupled and not draws(objective):
        raise UsageError(
            "the loss ties the examples of a batch together (a contrastive loss?), so a single example has no gradient "
            'of its own: use estimator="batches"'
        )
    size = 1 if unit == "examples" else batch_size or default_size(objective, total, coupled=coupled)
    count = total // size * size if coupled else total
    count = min(count, size * (max_batches or count))
    vectorised = unit == "examples" and vectorises(objective, theta)
    at_once = objective.batch_size or total if vectorised else size
    chosen = objective.over(Shuffled(objective.data, count, seed=seed), batch_size=at_once)
    return Sample(chosen, theta, unit, share=count / total, vectorised=vectorised, coupled=coupled)


def couples(objective: Objective, theta: Tensor) -> bool:
    """Whether what an example adds to f depends on the others of its batch: by BatchNorm, or a contrastive loss.

    It is tried on a few examples, together and in halves. A loss that draws random numbers may be another one for each
    size of batches, and keeps f's as well.
    """
    if mixes(objective.model, objective.batch_norm):
        return True
    few = Shuffled(objective.data, FEW, seed=0)
    whole, halves = (objective.over(few, batch_size=max(1, len(few.inputs) // parts)) for parts in (1, 2))
    try:
        together, apart = whole.value(theta), halves.value(theta)
    except UsageError:  # none of them counts
        return False
    return abs(together - apart) > max(SAME, 4 * eps(theta.dtype, objective.precision)) * abs(together)


def draws(objective: Objective) -> bool:
    """Whether the loss draws random numbers."""
    batch = first_batch(objective)
    return differ(*(loss_of(objective, batch, seed) for seed in (0, 1)))


def default_size(objective: Objective, total: int, *, coupled: bool) -> int:
    """Examples per batch where none were asked for."""
    most = objective.batch_size or total
    if coupled:
        return most if total // most >= FEWEST else max(2, total // MIXED)
    return max(1, min(most, total // BATCHES))


def vectorises(objective: Objective, theta: Tensor) -> bool:
    """Whether `vmap` can take this network and this loss; tried on two examples."""
    few = objective.over(Shuffled(objective.data, 2, seed=0), batch_size=2)
    try:
        next(example_gradients(few, theta))
    except RuntimeError:  # a branch on numbers, random numbers, buffers that are written to
        return False
    return True


def example_gradients(objective: Objective, theta: Tensor) -> Iterator[Rows]:
    """The gradients of single examples, those of one batch of the objective at a time."""

    def loss(weights: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        found = objective.score(objective.at(weights), (inputs[None], targets[None]))
        return found.total, torch.tensor(found.examples)

    each = vmap(grad_and_value(loss, has_aux=True), in_dims=(None, 0, 0))
    pieces = objective.pieces(theta)
    for random, (inputs, targets) in objective.drawing():
        with random, objective.arithmetic(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "There is a performance drop")  # vmap loops over what it has no rule for
            shares, (losses, counts) = each(pieces, inputs, targets)
        gradients = torch.cat([shares[name].reshape(len(inputs), -1) for name in pieces], 1)
        yield Rows(losses.tolist(), counts.tolist(), gradients)
