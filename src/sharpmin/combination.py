"""A weight vector made of a few others, and the first layer that this saves.

    theta = sum_k s_k v_k

Every point of a line, a plane or an arc is such a sum of two or three vectors. A dense first layer is linear in its
weights, z(theta) = W x + b = sum_k s_k z(v_k), and its input is the data: so z(v_k) is computed once for each batch and
vector, and at each point only added up. In F1 that layer is 28% of the multiplications.

A convolution in that place would do as well, but its output is 21 times as large as the image (C1), and to keep it for
a batch of 5000 costs 1.3 GB a vector. For the same reason it is left where a dense layer's output is as large.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sharpmin.hooks import hooked


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

    Nor where its weights are used a second time: the rest of the network is computed without them.

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
            return place if alone(layer, model) else None
    return None


def alone(layer: nn.Module, model: nn.Module) -> bool:
    """Whether the layer's weights are used nowhere else in the model: neither tied nor of a layer that comes twice."""
    own = set(layer.parameters())
    return sum(weight in own for _, weight in model.named_parameters(remove_duplicate=False)) == len(own)


class FirstLayer:
    """A dense first layer with the weights of several vectors.

    Args:
        before: what flattens the input.
        weights: for each vector the layer's weight and bias, by name.
        most: batches to keep the outputs of, at least 1: those seen first, and the last.

    """

    def __init__(self, before: nn.Module, weights: Sequence[Mapping[str, Tensor]], *, most: int = 1) -> None:
        self.before, self.weights, self.most = before, weights, most
        self._seen: list[tuple[Tensor, list[Tensor]]] = []  # a batch, and z at each vector

    def at(self, x: Tensor, shares: Sequence[float]) -> Tensor:
        """The output for the batch x at a sum of the vectors, a new tensor; at one of them bit for bit its own."""
        outputs, total = self._outputs(x), None
        for share, z in zip(shares, outputs, strict=True):
            if share:  # 0 times infinity is no number
                total = z * share if total is None else total.add_(z, alpha=share)
        return torch.zeros_like(outputs[0]) if total is None else total

    def _outputs(self, x: Tensor) -> list[Tensor]:
        """Each vector's z for the batch x."""
        for batch, outputs in self._seen:
            if batch is x:
                return outputs
        del self._seen[self.most - 1 :]
        flat = self.before(x)
        outputs = [F.linear(flat, own["weight"], own.get("bias")) for own in self.weights]
        self._seen.append((x, outputs))
        return outputs


First = tuple[FirstLayer, Sequence[float]]


class FirstLayers:
    """What computes the first layers of a group of points, one group after the other.

    Args:
        make: the first layer with the weights of these vectors; None where it cannot be had.

    """

    def __init__(self, make: Callable[[Sequence[Tensor]], FirstLayer | None]) -> None:
        self._make = make
        self._made: dict[tuple[int, ...], tuple[Sequence[Tensor], FirstLayer | None]] = {}

    def of(self, points: Sequence[Tensor | Combination]) -> list[First | None]:
        """Of each point; what the group before had made of the same vectors is used again, and the rest let go."""
        before, self._made = self._made, {}
        return [self._one(point, before) if isinstance(point, Combination) else None for point in points]

    def _one(
        self, point: Combination, before: Mapping[tuple[int, ...], tuple[Sequence[Tensor], FirstLayer | None]]
    ) -> First | None:
        key = tuple(map(id, point.vectors))  # which are held as long as their key
        if key not in self._made:
            self._made[key] = before.get(key) or (point.vectors, self._make(point.vectors))
        layer = self._made[key][1]
        return None if layer is None else (layer, point.shares)


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
