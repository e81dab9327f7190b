"""The symmetry itself: which axes of which tensors one permutation acts on, and the act.

The channels between two layers may be put into any order: permute the rows of the layer that makes them, everything
that belongs to a channel (BatchNorm's scale, shift and statistics) and the columns of every layer that reads them, and
the network computes the same function. All axes that have to follow one permutation are a `Space`.

Where an image of C channels was flattened, a channel is `block` = height times width neighbouring columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Slot:
    """One axis of a tensor that a permutation acts on.

    Attributes:
        tensor: a parameter or a buffer, by name.
        axis: of the tensor.
        block: neighbouring entries on the axis that belong to one channel.

    """

    tensor: str
    axis: int
    block: int = 1


@dataclass(frozen=True)
class Space:
    """All that one permutation acts on.

    Attributes:
        name: of the first layer that makes these channels.
        size: channels.
        slots: where they are an axis.

    """

    name: str
    size: int
    slots: tuple[Slot, ...]


def permuted(
    state: Mapping[str, Tensor], spaces: Sequence[Space], permutations: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """A state dict with the channels of each space in another order: the new channel i is the old one p[i].

    Args:
        state: parameters and buffers by name; not written to.
        spaces: as `trace_spaces` gives them.
        permutations: an index vector [size] by the name of its space; spaces left out stay as they are.

    Example:
        >>> space = Space("0", 2, (Slot("0.bias", 0), Slot("1.weight", 1)))
        >>> state = {"0.bias": torch.tensor([1.0, 2.0]), "1.weight": torch.tensor([[3.0, 4.0]])}
        >>> permuted(state, [space], {"0": torch.tensor([1, 0])})
        {'0.bias': tensor([2., 1.]), '1.weight': tensor([[4., 3.]])}

    """
    found = dict(state)
    for space in spaces:
        if space.name in permutations:
            for slot in space.slots:
                found[slot.tensor] = reordered(found[slot.tensor], slot, permutations[space.name])
    return found


def reordered(tensor: Tensor, slot: Slot, permutation: Tensor) -> Tensor:
    """The tensor with its channels on the slot's axis in this order."""
    entries = permutation[:, None] * slot.block + torch.arange(slot.block)
    return tensor.index_select(slot.axis, entries.reshape(-1).to(tensor.device))
