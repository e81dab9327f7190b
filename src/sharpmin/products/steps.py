"""The layers of a chain, differentiated by hand: each with its forward and backward pass and R{} of both.

R{.} = d/dt at theta + t v (Pearlmutter 1994). For y = W x with the adjoint dy = df/dy:

    forward     y  = W x            push    R{y}  = W R{x} + R{W} x
    backward    dx = W^T dy         pull    R{dx} = W^T R{dy} + R{W}^T dy
                                            R{dW} = R{dy} x^T + dy R{x}^T

A step belongs to one layer and one block of the batch, and keeps what the later passes need. None stands for an exact
0, and ends a backward pass: nothing before it is varied. ReLU and max-pooling count as linear, whichever way they went:
their second derivative is 0 except at their kinks, where there is none.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Named = Mapping[str, Tensor]  # weights, or their directions R{W}, by name
Sums = dict[str, Tensor]  # R{dW} by name, added up over the blocks


class Step(Protocol):
    """A layer at one block."""

    def forward(self, x: Tensor) -> Tensor:
        """The output y."""

    def backward(self, dy: Tensor) -> Tensor | None:
        """The adjoint dx."""

    def push(self, x_dot: Tensor | None, v: Named) -> Tensor | None:
        """R{y}, along the directions v of the weights that are varied."""

    def pull(self, dy_dot: Tensor, v: Named, sums: Sums) -> Tensor | None:
        """R{dx}; adds R{dW} to the sums."""


class Convolution:
    """W x, W^T dy, dy x^T and the sum of dy of a convolution."""

    def __init__(self, layer: nn.Conv2d) -> None:
        self.geometry: tuple[Any, Any, Any] = (layer.stride, layer.padding, layer.dilation)
        self.groups = layer.groups

    def times(self, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        """W x + b."""
        return F.conv2d(x, w, b, *self.geometry, self.groups)

    def transposed(self, dy: Tensor, w: Tensor, x: Tensor) -> Tensor:
        """W^T dy, like x."""
        return self._backward(dy, x, w, [True, False, False])[0]

    def outer(self, dy: Tensor, x: Tensor, w: Tensor) -> Tensor:
        """The outer product dy x^T, like W."""
        return self._backward(dy, x, w, [False, True, False])[1]

    def summed(self, dy: Tensor) -> Tensor:
        """The sum over examples and positions, like b."""
        return dy.transpose(1, -1).flatten(0, -2).sum(0)

    def _backward(self, dy: Tensor, x: Tensor, w: Tensor, wanted: list[bool]) -> tuple[Tensor, Tensor, Tensor]:
        backward = torch.ops.aten.convolution_backward
        return backward(dy, x, w, None, *self.geometry, False, [0, 0], self.groups, wanted)


class Dense:
    """W x, W^T dy, dy x^T and the sum of dy of a dense layer."""

    def times(self, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        """W x + b."""
        return F.linear(x, w, b)

    def transposed(self, dy: Tensor, w: Tensor, x: Tensor) -> Tensor:
        """W^T dy."""
        return dy @ w

    def outer(self, dy: Tensor, x: Tensor, w: Tensor) -> Tensor:
        """The outer product dy x^T."""
        return dy.flatten(0, -2).T @ x.flatten(0, -2)

    def summed(self, dy: Tensor) -> Tensor:
        """The sum over examples, like b."""
        return dy.flatten(0, -2).sum(0)


class Weighted:
    """y = W x + b.

    Args:
        product: a convolution or a dense layer.
        names: of W and b.
        weights: at theta.
        upstream: whether weights before this layer are varied, so that R{x} may be other than 0.

    """

    def __init__(self, product: Convolution | Dense, names: tuple[str, str], weights: Named, *, upstream: bool) -> None:
        self.product, self.names, self.upstream = product, names, upstream
        self.w, self.b = weights[names[0]], weights.get(names[1])
        self.dy: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """W x + b."""
        self.x = x
        return self.product.times(x, self.w, self.b)

    def backward(self, dy: Tensor) -> Tensor | None:
        """W^T dy."""
        if not self.upstream:
            return None
        self.dy = dy
        return self.product.transposed(dy, self.w, self.x)

    def push(self, x_dot: Tensor | None, v: Named) -> Tensor | None:
        """W R{x} + R{W} x + R{b}."""
        self.x_dot = x_dot
        w_dot, b_dot = (v.get(name) for name in self.names)
        if w_dot is None and b_dot is None:
            return None if x_dot is None else self.product.times(x_dot, self.w, None)
        y_dot = self.product.times(self.x, torch.zeros_like(self.w) if w_dot is None else w_dot, b_dot)
        return y_dot if x_dot is None else y_dot.add_(self.product.times(x_dot, self.w, None))

    def pull(self, dy_dot: Tensor, v: Named, sums: Sums) -> Tensor | None:
        """W^T R{dy} + R{W}^T dy, and R{dy} x^T + dy R{x}^T."""
        weight, bias = self.names
        x_dot, self.x_dot = self.x_dot, None
        if weight in v:
            add(sums, weight, self.product.outer(dy_dot, self.x, self.w))
            if self.dy is not None and x_dot is not None:
                add(sums, weight, self.product.outer(self.dy, x_dot, self.w))
        if bias in v:
            add(sums, bias, self.product.summed(dy_dot))
        if not self.upstream:
            return None
        dx_dot = self.product.transposed(dy_dot, self.w, self.x)
        if self.dy is not None and weight in v:
            dx_dot.add_(self.product.transposed(self.dy, v[weight], self.x))
        return dx_dot


class Relu:
    """y = max(x, 0)."""

    def forward(self, x: Tensor) -> Tensor:
        """max(x, 0)."""
        self.y = F.relu(x)
        return self.y

    def backward(self, dy: Tensor) -> Tensor:
        """The adjoint where y > 0."""
        return torch.ops.aten.threshold_backward(dy, self.y, 0)

    def push(self, x_dot: Tensor | None, v: Named) -> Tensor | None:
        """R{x} where y > 0."""
        return None if x_dot is None else self.backward(x_dot)

    def pull(self, dy_dot: Tensor, v: Named, sums: Sums) -> Tensor:
        """R{dy} where y > 0."""
        return self.backward(dy_dot)


class MaxPool:
    """y = the largest x of each window; in channels where `sign` is -1 the smallest."""

    def __init__(self, layer: nn.MaxPool2d, sign: Tensor | None = None) -> None:
        self.layer, self.sign = layer, sign

    def forward(self, x: Tensor) -> Tensor:
        """The largest, and where it was."""
        pool = self.layer
        signed = x if self.sign is None else x * self.sign
        y, where = F.max_pool2d(
            signed, pool.kernel_size, pool.stride, pool.padding, pool.dilation, pool.ceil_mode, return_indices=True
        )
        self.where, self.before, self.after = positions_first(where), x.shape, y.shape
        return y if self.sign is None else y * self.sign

    def backward(self, dy: Tensor) -> Tensor:
        """The adjoint, each where its y was."""
        n, channels, height, width = self.before
        dx = dy.new_zeros(n, height * width, channels).scatter_add_(1, self.where, positions_first(dy))
        return as_images(dx, self.before)

    def push(self, x_dot: Tensor | None, v: Named) -> Tensor | None:
        """R{x} from where y was."""
        return None if x_dot is None else as_images(positions_first(x_dot).gather(1, self.where), self.after)

    def pull(self, dy_dot: Tensor, v: Named, sums: Sums) -> Tensor:
        """R{dy}, each where its y was."""
        return self.backward(dy_dot)


class Linear:
    """A layer that is linear and has no weights: average pooling, a new shape."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """The output y."""
        self.zeros = torch.zeros((), dtype=x.dtype, device=x.device).expand(x.shape)
        return self.layer(x)

    def backward(self, dy: Tensor) -> Tensor:
        """The transposed map, by autograd."""
        with torch.enable_grad():
            x = self.zeros.clone().requires_grad_()
            return torch.autograd.grad(self.layer(x), x, dy)[0]

    def push(self, x_dot: Tensor | None, v: Named) -> Tensor | None:
        """The map itself."""
        return None if x_dot is None else self.layer(x_dot)

    def pull(self, dy_dot: Tensor, v: Named, sums: Sums) -> Tensor:
        """The transposed map."""
        return self.backward(dy_dot)


def add(sums: Sums, name: str, part: Tensor) -> None:
    """Add a block's part."""
    sums[name] = sums[name].add_(part) if name in sums else part


def positions_first(images: Tensor) -> Tensor:
    """[B, C, H, W] as [B, H W, C]; a view where the memory is channels-last."""
    return images.permute(0, 2, 3, 1).flatten(1, 2)


def as_images(flat: Tensor, shape: torch.Size) -> Tensor:
    """[B, H W, C] as [B, C, H, W], channels-last."""
    n, channels, height, width = shape
    return flat.view(n, height, width, channels).permute(0, 3, 1, 2)
