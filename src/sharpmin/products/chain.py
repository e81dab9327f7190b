"""Exact products with the Hessian of a chain network, block by block, and nothing computed twice (Pearlmutter 1994).

What the forward and the backward pass compute depends on theta alone, not on the vector: it is kept, and a product is
one more sweep forward and one back (`push` and `pull`, see `sharpmin.products.steps`), for C1 1.8 times the operations
of a gradient. With the adjoints dy = 0 everywhere but R{dy} = H_L R{y} at the outputs the same sweeps give the
Gauss-Newton product J^T H_L J v, where H_L is the Hessian of the loss in the outputs.

As in `sharpmin.blocked` the batch goes through in blocks that stay in cache, tied together only by the BatchNorms, and
a max-pool goes ahead of its BatchNorm.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from sharpmin.blocked import BLOCK, BatchNorm, Stage, can_block, stages, until_flatten
from sharpmin.products.norm import Measured, Norm, Normalised
from sharpmin.products.steps import Convolution, Dense, Linear, MaxPool, Named, Relu, Step, Sums, Weighted

Make = Callable[[], Step]
Moved = list[Tensor | None]


def can_chain(model: nn.Module) -> bool:
    """Whether the products here know every layer of `model`."""
    return can_block(model) and all(
        layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
        for layer in model.modules()
        if isinstance(layer, nn.Conv2d)
    )


class Segment:
    """The steps from one BatchNorm to the next, or to where the blocks are joined: a list for each block."""

    def __init__(self, norm: Norm | None, steps: Iterable[Make], following: Norm | None, *, joined: bool) -> None:
        self.norm, self.make, self.following, self.joined = norm, list(steps), following, joined
        self.blocks: list[list[Step]] = []
        self.sizes: list[int] = []

    def forward(self, values: list[Tensor]) -> list[Tensor]:
        """Make the steps of each block and send it through."""
        for i, x in enumerate(values):
            self.sizes.append(len(x))
            self.blocks.append([make() for make in self.make])
            for step in self.blocks[i]:
                x = step.forward(x)
            values[i] = x
        if self.following:
            self.following.settle()
        return values

    def backward(self, values: list[Tensor]) -> list[Tensor]:
        """The adjoints before the segment; none where nothing before is varied."""
        before = self._unwound(values, lambda step, dy: step.backward(dy))
        if self.norm:
            self.norm.settle_backward()
        return before

    def push(self, values: Moved, v: Named) -> Moved:
        """R{} of what leaves the segment."""
        for i, x_dot in enumerate(values):
            for step in self.blocks[i]:
                x_dot = step.push(x_dot, v)
            values[i] = x_dot
        if self.following:
            self.following.settle_push(v)
        return values

    def pull(self, values: list[Tensor], v: Named, sums: Sums) -> list[Tensor]:
        """R{} of the adjoints before the segment; none where nothing before is varied."""
        before = self._unwound(values, lambda step, dy_dot: step.pull(dy_dot, v, sums))
        if self.norm:
            self.norm.settle_pull(v, sums)
        return before

    def _unwound(self, values: list[Tensor], back: Callable[[Step, Tensor], Tensor | None]) -> list[Tensor]:
        before = []
        for i, steps in enumerate(self.blocks):
            dy: Tensor | None = values[i]
            values[i] = values[i].new_empty(0)  # let go of it as soon as nobody needs it
            for step in reversed(steps):
                dy = None if dy is None else back(step, dy)
            before += [] if dy is None else [dy]
        return before


class Chain:
    """One batch's forward and backward pass, kept for products.

    Args:
        model: a chain for which `can_chain` holds.
        weights: all of its weights, by name.
        varied: names of those that v moves.
        block: examples per block.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3, track_running_stats=False), nn.Linear(3, 1))
        >>> chain = Chain(model, {name: weight.detach() for name, weight in model.named_parameters()}, {"2.weight"})
        >>> y = chain.forward(torch.randn(5, 2))
        >>> chain.backward(y)  # where the loss is |y|^2 / 2
        >>> chain.product({"2.weight": torch.ones(1, 3)}, lambda y_dot: y_dot)["2.weight"].shape
        torch.Size([1, 3])

    Source: Pearlmutter 1994, Fast exact multiplication by the Hessian; Schraudolph 2002 for Gauss-Newton.

    """

    def __init__(self, model: nn.Sequential, weights: Named, varied: Set[str], *, block: int = BLOCK) -> None:
        self.names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
        self.weights = {name: images_last(weight) for name, weight in weights.items()}
        self.varied, self.block, self._upstream = varied, block, False
        self.segments = list(self._segments(model))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """The outputs."""
        values = list(images_last(x).split(self.block))
        for segment in self.segments:
            values = segment.forward([torch.cat(values)] if segment.joined else values)
        return torch.cat(values)

    @torch.no_grad()
    def backward(self, dy: Tensor) -> None:
        """Send the adjoint of the outputs back. Left out, the products are Gauss-Newton's."""
        values = [dy]
        for segment in reversed(self.segments):
            values = segment.backward(regrouped(values, segment.sizes)) if values else []

    @torch.no_grad()
    def product(self, v: Named, curve: Callable[[Tensor], Tensor]) -> Sums:
        """The product, summed over the examples; a weight left out has 0.

        Args:
            v: the direction of each weight that is varied, by name.
            curve: R{y} -> R{dy} at the outputs, the product with H_L.

        """
        v, sums = {name: images_last(direction) for name, direction in v.items()}, Sums()
        moved: Moved = [None]
        for segment in self.segments:
            if segment.following:
                segment.following.begin()
            moved = segment.push(spread(moved, segment.sizes), v)
        values = [curve(torch.cat([y_dot for y_dot in moved if y_dot is not None]))]
        for segment in reversed(self.segments):
            values = segment.pull(regrouped(values, segment.sizes), v, sums) if values else []
        return sums

    @property
    def kept(self) -> int:
        """Bytes kept for products."""
        held = [
            t for segment in self.segments for steps in segment.blocks for step in steps for t in vars(step).values()
        ]
        storages = [t.untyped_storage() for t in held if isinstance(t, Tensor)]
        return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())

    def _segments(self, model: nn.Sequential) -> Iterator[Segment]:
        norm = None
        for stage, following in pairwise([*stages(model), Stage()]):
            begin: list[Make] = [] if norm is None else [partial(Normalised, norm)]
            self._upstream |= norm is not None and self._varies(norm.names)
            before, after = ([self._maker(layer) for layer in part] for part in until_flatten(stage.layers))
            ahead, end = self._measured(following.norm, stage.pool_ahead)
            if after:
                yield Segment(norm, begin + before, None, joined=False)
                yield Segment(None, after + end, ahead, joined=True)
            else:
                yield Segment(norm, begin + before + end, ahead, joined=False)
            norm = ahead

    def _measured(self, layer: BatchNorm | None, pool: nn.Module | None) -> tuple[Norm | None, list[Make]]:
        """The BatchNorm that follows a stage, and how the stage ends for it."""
        if layer is None:
            return None, []
        norm = Norm(layer, (self.names[layer.weight], self.names[layer.bias]), self.weights)
        end: list[Make] = [partial(Measured, norm)]
        if isinstance(pool, nn.MaxPool2d):
            sign = torch.where(norm.gamma < 0, -1.0, 1.0)[:, None, None] if bool((norm.gamma < 0).any()) else None
            end.append(partial(MaxPool, pool, sign))
        return norm, end

    def _maker(self, layer: nn.Module) -> Make:
        """How to make the step of a layer."""
        if isinstance(layer, nn.Conv2d | nn.Linear):
            product = Convolution(layer) if isinstance(layer, nn.Conv2d) else Dense()
            names = self.names[layer.weight], "" if layer.bias is None else self.names[layer.bias]
            upstream, self._upstream = self._upstream, self._upstream or self._varies(names)
            return partial(Weighted, product, names, self.weights, upstream=upstream)
        if isinstance(layer, nn.ReLU):
            return Relu
        if isinstance(layer, nn.Dropout):  # f is evaluated without it
            return partial(Linear, nn.Identity())
        return partial(MaxPool, layer) if isinstance(layer, nn.MaxPool2d) else partial(Linear, layer)

    def _varies(self, names: Iterable[str]) -> bool:
        return not self.varied.isdisjoint(names)


def images_last(tensor: Tensor) -> Tensor:
    """The tensor, in channels-last memory where it has 4 dimensions."""
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


def regrouped(values: list[Tensor], sizes: Sequence[int]) -> list[Tensor]:
    """The same examples in blocks of these sizes."""
    return values if len(values) == len(sizes) else list(torch.cat(values).split(list(sizes)))


def spread(values: Moved, sizes: Sequence[int]) -> Moved:
    """The same examples in blocks of these sizes; no values where nothing moves."""
    moving = [value for value in values if value is not None]
    return [*regrouped(moving, sizes)] if moving else [None] * len(sizes)
