"""What a stage of a network keeps for its backward pass, and which stages keep less so that the whole fits.

The backward pass needs the activations of the forward pass. They can be kept, or computed again from what went into
the stage (Chen, Xu, Zhang and Guestrin 2016). Between the two: keep what convolutions and dense layers gave, and do
only the cheap rest again, normalisation, ReLU and dropout (as Rota Bulo, Porzi and Kontschieder 2018 do for BatchNorm).

    all        everything: nothing is computed twice
    products   the outputs of convolutions and dense layers: costs a few percent of a step
    inputs     what went in, no more: costs another forward pass of the stage

`torch.utils.checkpoint` does the work: it puts the random state back, so that dropout draws the same mask, and the same
autocast. The numbers are the same, bit for bit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

Keep = Literal["all", "products", "inputs"]
KEEPS: tuple[Keep, ...] = ("all", "products", "inputs")
PRODUCTS = [torch.ops.aten.convolution.default, torch.ops.aten.addmm.default, torch.ops.aten.mm.default]
Layer = TypeVar("Layer", bound=nn.Module)


def keeping(keep: Keep, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function of tensors, which keeps so much for its backward pass.

    Example:
        >>> x = torch.rand(3, requires_grad=True)
        >>> torch.autograd.grad(keeping("inputs", torch.exp)(x).sum(), x)[0].equal(x.exp())
        True

    """
    if keep == "all":
        return function
    if keep == "inputs":
        return partial(checkpoint, function, use_reentrant=False)
    relu_may_overwrite = True  # what a product gave and is kept; to apply it twice is to apply it once
    contexts = partial(create_selective_checkpoint_contexts, PRODUCTS, allow_cache_entry_mutation=relu_may_overwrite)
    return partial(checkpoint, function, use_reentrant=False, context_fn=contexts)


def as_it_is(layer: Layer) -> Layer:
    """A shallow copy that keeps today's weights and mode, whatever is put into the layer later.

    Stages are computed again when the backward pass comes to them. By then `torch.func.functional_call` has taken its
    tensors out of the model again, and its mode may have changed.
    """
    copied = type(layer).__new__(type(layer))
    copied.__dict__ = {**layer.__dict__, "_parameters": dict(layer._parameters)}
    return copied


@dataclass(frozen=True)
class StageMemory:
    """What one stage holds from its forward to its backward pass.

    Attributes:
        kept: bytes per example for each way of keeping, the stage's output included.
        joined: whether it takes the batch whole, not in blocks.

    """

    kept: dict[Keep, float]
    joined: bool


def peak(stages: Sequence[StageMemory], keep: Sequence[Keep], examples: int, *, block: int) -> float:
    """Bytes held at the height of a step.

    That is at the end of the forward pass: on the way back the gradient of a stage's output takes the place of the
    output. To this comes what is in flight: one block's activations, computed again, and their gradients.
    """
    together = [examples if stage.joined else min(block, examples) for stage in stages]
    in_flight = max(2 * stage.kept["all"] * count for stage, count in zip(stages, together, strict=True))
    return in_flight + examples * sum(stage.kept[how] for stage, how in zip(stages, keep, strict=True))


def choose(stages: Sequence[StageMemory], examples: int, budget: float, *, block: int) -> tuple[Keep, ...]:
    """Keep all where that fits; else less in as few stages as will do, the cheap way first, the largest saving first.

    Args:
        stages: as measured.
        examples: in the batch.
        budget: bytes that the activations may take.
        block: examples computed at a time.

    Returns:
        What each stage keeps. If not even the least fits, that.

    Example:
        >>> stages = [StageMemory({"all": 9, "products": 5, "inputs": 1}, False)] * 2
        >>> choose(stages, 100, budget=1500, block=1)
        ('products', 'all')
        >>> choose(stages, 100, budget=700, block=1)
        ('inputs', 'products')

    """
    keep: list[Keep] = ["all"] * len(stages)
    for less in KEEPS[1:]:
        savings = [stage.kept[how] - stage.kept[less] for stage, how in zip(stages, keep, strict=True)]
        for i in sorted(range(len(stages)), key=lambda i: -savings[i]):
            if peak(stages, keep, examples, block=block) <= budget:
                return tuple(keep)
            if savings[i] > 0:
                keep[i] = less
    return tuple(keep)
