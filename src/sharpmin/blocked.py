"""A BatchNorm that sees the whole batch while the processor sees a cache-sized block of it.

The paper's large-batch runs normalise 5000 images together. Done layer by layer, each layer of C1 then reads
and writes 1.3 GB, and a CPU spends most of its time waiting for memory. But only the mean and variance tie
the examples of a batch together; everything else acts on each alone. So between two BatchNorms the batch is
sent through in blocks that stay in cache, each block leaves its mean and variance behind, and the moments of
the whole batch follow from those of the blocks (`sharpmin.moments`).

One more exact step: a BatchNorm is increasing in its input wherever its scale gamma is >= 0, and so is a ReLU,
so max-pooling may go first, `pool(relu(norm(z))) = relu(norm(pool(z)))`, and the large array before the pool
is read once and never stored (channels with gamma < 0 are negated around the pool, which is exact too).

The result is the function and the gradient of the plain network to rounding (tests/test_blocked.py). Second
derivatives are not supported here: take those of the plain model.

A batch that does not fit into memory is not made smaller, for BatchNorm would see the difference. Its stages keep less
for the backward pass instead and compute it again, block by block: the moments of the whole batch are known by then, so
this is exact too. See `sharpmin.checkpointing` for what is kept, and `Blocked.chosen` for who decides.

Nor is it made smaller by several processes that have a part of it each: they merge their moments with those of the
others (`sharpmin.distributed.moments`).
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sharpmin.checkpointing import KEEPS, Keep, StageMemory, as_it_is, choose, keeping
from sharpmin.distributed.group import ALONE, Group
from sharpmin.held import LiveBytes, SavedBytes
from sharpmin.hooks import hooked
from sharpmin.moments import Moments, Normalise, Part, merge_all
from sharpmin.runtime import available_memory
from sharpmin.winograd import Winograd, gains

BatchNorm: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d

PER_EXAMPLE = (nn.Conv2d, nn.Linear, nn.ReLU, nn.Dropout, nn.MaxPool2d, nn.AvgPool2d, nn.Flatten, nn.Identity)
BLOCK = 128  # images; C1 on two cores, float32: 64 to 256 are within noise of each other
SHARE = (
    0.6  # of the free memory; the rest is for the gradient, the moments, the gaps between blocks, and everybody else
)


@dataclass
class Stage:
    """The layers between two BatchNorms, the BatchNorm they follow, and a pool moved ahead of the next one."""

    norm: BatchNorm | None = None
    layers: list[nn.Module] = field(default_factory=list)
    pool_ahead: nn.Module | None = None


def can_block(model: nn.Module) -> bool:
    """Whether `model` is a flat chain of per-example layers and BatchNorms without running statistics, and no hooks."""
    # a subclass may do something else, and so may one of a layer
    if type(model) is not nn.Sequential or any(map(hooked, (model, *model))):
        return False
    norms = [layer for layer in model if type(layer) in (nn.BatchNorm1d, nn.BatchNorm2d)]
    return (
        bool(norms)
        and all(layer in norms or type(layer) in PER_EXAMPLE for layer in model)
        and all(norm.running_mean is None and norm.weight is not None for norm in norms)
    )


def stages(model: nn.Sequential) -> list[Stage]:
    """Cut the chain at its BatchNorms and move each pool of a (BatchNorm, ReLU, pool) ahead of its BatchNorm."""
    layers, result = list(model), [Stage()]
    while layers:
        layer = layers.pop(0)
        if not isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            result[-1].layers.append(layer)
            continue
        if len(layers) > 1 and isinstance(layers[0], nn.ReLU) and isinstance(layers[1], nn.MaxPool2d):
            result[-1].pool_ahead = layers.pop(1)
        result.append(Stage(norm=layer))
    return result


class Blocked(nn.Module):
    """The same function as `model`, computed block by block with BatchNorm statistics of the whole batch.

    Args:
        model: a chain for which `can_block` holds; it is wrapped, not copied.
        block: images per block up to the first `Flatten`; the dense layers after it take the batch whole.
        memory: bytes that the activations of a step may take; by default what is free when the step begins.
        keep: what each stage keeps for the backward pass; by default as much as fits into `memory`.
        group: the processes that the batch is spread over; each is called with its own part.

    Example:
        >>> from sharpmin.zoo import build
        >>> model, images = build("C1", seed=0).eval(), torch.rand(300, 3, 32, 32)
        >>> torch.allclose(Blocked(model)(images), model(images), atol=1e-4)
        True

    """

    def __init__(
        self,
        model: nn.Sequential,
        *,
        block: int = BLOCK,
        memory: float | None = None,
        keep: Sequence[Keep] | None = None,
        group: Group = ALONE,
    ) -> None:
        super().__init__()
        self.model, self.block, self.group = model, block, group
        self.memory, self.keep = memory, keep
        self.whole: float = 0  # bytes per example where everything is kept, once known
        self.stages: tuple[StageMemory, ...] = ()  # the same stage by stage, once needed

    def __getattr__(self, name: str) -> Any:
        """Give what the model has, for a loss that looks at it."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("model"), name)

    def __getitem__(self, place: int | slice) -> nn.Module:
        """Give a layer of the model."""
        return self.model[place]

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the batch x."""
        *_, blocks = self.advancing(x, self.chosen(x), self.group)
        return torch.cat(blocks)

    def chosen(self, x: Tensor) -> tuple[Keep, ...]:
        """What each stage keeps of the batch x: everything where x is one block or no gradient will be asked for."""
        if self.keep is not None:
            return tuple(self.keep)
        everything = alike(self.model, "all")
        if len(x) <= self.block or not torch.is_grad_enabled():
            return everything
        budget = free_memory() if self.memory is None else self.memory
        self.whole = self.whole or self.saved(x)
        if self.whole * (len(x) + self.block) <= budget:
            return everything
        self.stages = self.stages or self.measured(x)
        return choose(self.stages, len(x), budget, block=self.block)

    def saved(self, x: Tensor) -> float:
        """Bytes per example that autograd saves where everything is kept, from a few of the examples of x."""
        batches, totals = few_and_more(x), []
        for batch in batches:
            with torch.random.fork_rng(devices=[]), SavedBytes(self.parameters()) as found:
                *_, held = self.advancing(batch, alike(self.model, "all"))
            totals.append(found.total)
            del held
        return (totals[1] - totals[0]) / (len(batches[1]) - len(batches[0]))

    def measured(self, x: Tensor) -> tuple[StageMemory, ...]:
        """Bytes per example that each stage holds, however much it keeps, from a few of the examples of x."""
        few, more = few_and_more(x)
        kept: dict[Keep, list[float]] = {}
        for keep in KEEPS:
            _, before, after = (self._held(batch, keep) for batch in (few, few, more))  # the first warms up
            up_to = [(b - a) / (len(more) - len(few)) for a, b in zip(before, after, strict=True)]
            kept[keep] = [b - a for a, b in pairwise([0.0, *up_to])]
        joined = accumulate(any(isinstance(layer, nn.Flatten) for layer in s.layers) for s in stages(self.model))
        return tuple(StageMemory({how: kept[how][i] for how in KEEPS}, bool(j)) for i, j in enumerate(joined))

    def advancing(self, x: Tensor, keep: Sequence[Keep], group: Group = ALONE) -> Iterator[list[Tensor]]:
        """Send the batch, or this process's part of it, through stage by stage, and give its blocks after each."""
        blocks, moments = list(x.split(self.block)), tuple[Tensor, ...]()
        for (stage, following), how in zip(pairwise([*stages(self.model), Stage()]), keep, strict=True):
            blocks, moments = advance(stage, following.norm, blocks, moments, how, group)
            yield blocks

    def _held(self, x: Tensor, keep: Keep) -> list[int]:
        """Bytes held after each stage of a forward pass, beside the batch."""
        with torch.random.fork_rng(devices=[]), LiveBytes(x) as live:
            return [live.alive for _ in self.advancing(x, alike(self.model, keep))]


def alike(model: nn.Sequential, keep: Keep) -> tuple[Keep, ...]:
    """The same for every stage."""
    return (keep,) * len(stages(model))


def free_memory() -> float:
    """Bytes that the activations of a step may take: most of what is free."""
    available = available_memory()
    return math.inf if available is None else SHARE * available


def few_and_more(x: Tensor) -> tuple[Tensor, Tensor]:
    """One example of x, and three, in memory of their own."""
    one, three = (x[:1].repeat(count, *[1] * (x.dim() - 1)) for count in (1, 3))
    return one, three


def advance(
    stage: Stage,
    norm: BatchNorm | None,
    blocks: list[Tensor],
    moments: tuple[Tensor, ...],
    keep: Keep,
    group: Group,
) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    """Send every block through one stage; give the blocks before the next BatchNorm and their joint moments.

    None of a block that is the whole batch, and was not pooled ahead of its BatchNorm: that takes its moments itself.
    """
    if keep != "all":
        stage = replace(stage, norm=stage.norm and as_it_is(stage.norm), layers=[*map(as_it_is, stage.layers)])
    before, after = until_flatten(stage.layers)
    whole = group.size == 1 and stage.pool_ahead is None and bool(after or len(blocks) == 1)
    gamma = None if norm is None or whole else norm.weight
    each = keeping(keep, partial(sent, stage.norm, before, stage.pool_ahead, None if after else gamma))
    outputs, parts = [], []
    for i, z in enumerate(blocks):
        blocks[i] = z.new_empty(0)  # let go of the input as soon as nobody needs it
        z, part = each(z, *moments)
        outputs.append(z)
        parts.append(part)
    if after:
        z, part = keeping(keep, partial(sent, None, after, None, gamma))(torch.cat(outputs))
        outputs, parts = [z], [part]
    return outputs, () if gamma is None else merge_all(group, parts)


def sent(
    norm: BatchNorm | None,
    layers: Iterable[nn.Module],
    pool: nn.Module | None,
    gamma: Tensor | None,
    z: Tensor,
    *moments: Tensor,
) -> tuple[Tensor, Part | None]:
    """What leaves a stage of the block z, and the block's own moments where a BatchNorm of scale gamma follows."""
    if norm is not None:
        z = Normalise.apply(z, *moments, norm.weight, norm.bias, norm.eps) if moments else by_itself(norm, z)
    z = run(layers, z, made=norm is not None)
    if gamma is None:
        return z, None
    part = (len(z), z[0, 0].numel(), *Moments.apply(z))
    return pool_monotone(pool, z, gamma), part


def by_itself(norm: BatchNorm, z: Tensor) -> Tensor:
    """The batch z with its own mean and variance; one example will do, which F.batch_norm refuses."""
    return torch.batch_norm(z, norm.weight, norm.bias, None, None, True, 0.0, norm.eps, False)


def until_flatten(layers: list[nn.Module]) -> tuple[list[nn.Module], list[nn.Module]]:
    """Split the layers at the first `Flatten`: from there on the batch is one block."""
    for i, layer in enumerate(layers):
        if isinstance(layer, nn.Flatten):
            return layers[:i], layers[i:]
    return layers, []


def run(layers: Iterable[nn.Module], z: Tensor, *, made: bool) -> Tensor:
    """Apply the layers in turn. A ReLU overwrites what a product or a norm just made, for no backward pass reads it."""
    for layer in layers:
        if isinstance(layer, nn.ReLU):
            z = F.relu(z, inplace=made)
        else:
            fewer = isinstance(layer, nn.Conv2d) and gains(layer, z)
            z = Winograd.apply(z, layer.weight, layer.bias) if fewer else layer(z)
        made = isinstance(layer, nn.Conv2d | nn.Linear)
    return z


def pool_monotone(pool: nn.Module | None, z: Tensor, gamma: Tensor) -> Tensor:
    """Max-pool z where gamma >= 0 and min-pool it where gamma < 0, so that a BatchNorm may follow."""
    if pool is None:
        return z
    if bool((gamma >= 0).all()):
        return pool(z)
    sign = torch.where(gamma < 0, -1.0, 1.0).to(z.dtype).detach()[:, None, None]
    return pool(z * sign) * sign
