"""A network's weights as one flat vector theta, and back.

`Layout` remembers which named parameters make up theta, in which order and of which shape. A parameter that
two modules share (tied weights) appears once, and so does one that is named twice.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from sharpmin.errors import UsageError


@dataclass(frozen=True)
class Layout:
    """The order, names and shapes of the tensors that make up theta."""

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]

    @property
    def size(self) -> int:
        """Number of weights n."""
        return sum(shape.numel() for shape in self.shapes)

    def flatten(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Concatenate the named tensors into one new vector [n].

        Raises:
            UsageError: a tensor is missing or has another shape; all of them are named.

        """
        wrong = [
            f"{name}: {'missing' if name not in tensors else f'{list(tensors[name].shape)}, not {list(shape)}'}"
            for name, shape in zip(self.names, self.shapes, strict=True)
            if name not in tensors or tensors[name].shape != shape
        ]
        if wrong:
            raise UsageError("these weights do not fit the network: " + "; ".join(wrong))
        return torch.cat([tensors[name].detach().reshape(-1) for name in self.names])

    def unflatten(self, theta: Tensor) -> dict[str, Tensor]:
        """Give the named views of theta [n]; nothing is copied.

        Raises:
            UsageError: theta is not a vector of n numbers.

        """
        if theta.shape != (self.size,):
            raise UsageError(f"theta has shape {list(theta.shape)}; this network has [{self.size}] weights")
        pieces = theta.split([shape.numel() for shape in self.shapes])
        return {name: piece.view(shape) for name, shape, piece in zip(self.names, self.shapes, pieces, strict=True)}


def layout(model: nn.Module, *, parameters: Iterable[str] | None = None) -> Layout:
    """Describe the trainable weights of a model, or the parameters named.

    Example:
        >>> layout(nn.Linear(3, 2))
        Layout(names=('weight', 'bias'), shapes=(torch.Size([2, 3]), torch.Size([2])))

    """
    everything = dict(model.named_parameters())
    names = (
        [n for n, p in everything.items() if p.requires_grad] if parameters is None else [*dict.fromkeys(parameters)]
    )
    if unknown := [name for name in names if name not in everything]:
        raise UsageError(f"no such parameters: {', '.join(unknown)}; the model has {', '.join(everything)}")
    if not names:
        raise UsageError("the model has no trainable parameters; name some, or set requires_grad")
    return Layout(tuple(names), tuple(everything[name].shape for name in names))


def matching(model: nn.Module, patterns: Iterable[str]) -> tuple[str, ...]:
    """The names of the parameters that match any of the shell-style patterns, in the model's order.

    A tied weight answers to each of its names and is listed once; a pattern may name a frozen parameter on purpose.

    Raises:
        UsageError: a pattern matches nothing.

    Example:
        >>> matching(nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2)), ["1.*"])
        ('1.weight', '1.bias')

    """
    first: dict[nn.Parameter, str] = {}
    aliases = [(alias, first.setdefault(p, alias)) for alias, p in model.named_parameters(remove_duplicate=False)]
    chosen: dict[str, None] = {}
    for pattern in patterns:
        hits = [name for alias, name in aliases if fnmatchcase(alias, pattern)]
        if not hits:
            raise UsageError(
                f"no parameter matches {pattern!r}; the model has {', '.join(dict.fromkeys(first.values()))}"
            )
        chosen.update(dict.fromkeys(hits))
    return tuple(name for name in dict.fromkeys(first.values()) if name in chosen)
