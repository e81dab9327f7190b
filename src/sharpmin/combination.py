"""A weight vector made of a few others, and the first layer that this saves.

    theta = sum_k s_k v_k

Every point of a line, a plane or an arc is such a sum of two or three vectors. A dense first layer is linear in its
weights, z(theta) = W x + b = sum_k s_k z(v_k), and its input is the data: so z(v_k) is computed once for each batch and
vector, and at each point only added up. In F1 that layer is 28% of the multiplications.

A convolution in that place would do as well, but its output is 21 times as large as the image (C1), and to keep it for
a batch of 5000 costs 1.3 GB a vector. For the same reason it is left where a dense layer's output is as large.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class Combination:
    """A point and how it was made.

    Attributes:
        theta: the point itself, [n].
        vectors: what it is made of, [n] each; the same tensors at every point that has them in common.
        shares: of each vector.

    Example:
        >>> a, b = torch.zeros(2), torch.ones(2)
        >>> Combination(0.25 * b + 0.75 * a, (a, b), (0.75, 0.25)).theta
        tensor([0.2500, 0.2500])

    """

    theta: Tensor
    vectors: tuple[Tensor, ...]
    shares: tuple[float, ...]


def dense_first(model: nn.Module) -> int | None:
    """The place of a dense layer that only flattening may come before; None where the model does not begin so.

    Example:
        >>> dense_first(nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU()))
        1

    """
    if type(model) is not nn.Sequential or hooked(model):  # a subclass may do something else
        return None
    for place, layer in enumerate(model):
        if hooked(layer) or type(layer) not in (nn.Flatten, nn.Identity, nn.Linear):
            return None
        if type(layer) is nn.Linear:
            return place
    return None


def hooked(module: nn.Module) -> bool:
    """Whether somebody wants to be told when the module is called."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


class FirstLayer:
    """A dense first layer with the weights of several vectors.

    Args:
        before: what flattens the input.
        weights: for each vector the layer's weight and bias, by name.

    """

    def __init__(self, before: nn.Module, weights: Sequence[Mapping[str, Tensor]]) -> None:
        self.before, self.weights = before, weights
        self._seen: tuple[Tensor, list[Tensor]] | None = None  # the last batch, and z at each vector

    def at(self, x: Tensor, shares: Sequence[float]) -> Tensor:
        """The output for the batch x at a sum of the vectors, a new tensor; at one of them bit for bit its own."""
        if self._seen is None or self._seen[0] is not x:
            flat = self.before(x)
            self._seen = x, [F.linear(flat, own["weight"], own.get("bias")) for own in self.weights]
        total: Tensor | None = None
        for share, z in zip(shares, self._seen[1], strict=True):
            if share:  # 0 times infinity is no number
                total = z * share if total is None else total.add_(z, alpha=share)
        return torch.zeros_like(self._seen[1][0]) if total is None else total


class AfterFirst(nn.Module):
    """A network whose first layer is computed elsewhere."""

    def __init__(self, first: FirstLayer, shares: Sequence[float], rest: nn.Module) -> None:
        super().__init__()
        self._first = first, tuple(shares)
        self.rest = rest

    def forward(self, x: Tensor) -> Tensor:
        """The network's output for the batch x."""
        first, shares = self._first
        return self.rest(first.at(x, shares))
