"""Random directions in weight space, as long as the weights they will be added to.

The loss of a ReLU network does not change when one layer is multiplied by a and the next divided by a, but a step of a
given length then means more in one layer and less in the other. So a Gaussian direction d is rescaled, filter by filter
(Li et al. 2018, section 4):

    d_ij <- d_ij |theta_ij| / |d_ij|        theta_ij: filter j of layer i

"filter"  the filter of a convolution is what makes one of its output channels; of a dense layer, the row of one
          neuron; of an embedding, the row of one token: always a slice along the first dimension of the tensor. (Of a
          transposed convolution that is an input channel, as in the code of Li et al.)
"layer"   the whole tensor is one filter.
"none"    the Gaussian direction as drawn, standard deviation 1 for every weight.

Under "filter" and "layer" the direction is zero in every tensor of one dimension or none: biases, and the scales and
shifts of BatchNorm and its kin. So it is in their code (`ignore="biasbn"`).
"""

from collections.abc import Iterator
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from sharpmin.errors import UsageError
from sharpmin.objective import Objective

Normalisation = Literal["filter", "layer", "none"]
APART = 0x6C616E6473636170  # added to the seed: a network initialised from seed 0 must not meet its own numbers again


def random_directions(
    objective: Objective,
    theta: Tensor,
    *,
    count: int = 2,
    normalisation: Normalisation = "filter",
    seed: int = 0,
) -> Iterator[Tensor]:
    """Draw directions [n], one after the other as they are asked for.

    Args:
        objective: f; it knows which weights make a tensor.
        theta: whose filters set the lengths, [n].
        count: how many.
        normalisation: "filter", "layer" or "none".
        seed: the same one gives the same directions, on every device.

    Raises:
        UsageError: an unknown normalisation; none of the weights makes a filter.

    Example:
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> f = Objective(torch.nn.Linear(4, 3), toy.train)
        >>> u, v = random_directions(f, f.theta)
        >>> torch.allclose(u[:4].norm(), f.theta[:4].norm()), u[12:].tolist()
        (True, [0.0, 0.0, 0.0])

    Source: Li et al. 2018, section 4.

    """
    if normalisation not in get_args(Normalisation):
        raise UsageError(f"unknown normalisation {normalisation!r}: choose one of {', '.join(get_args(Normalisation))}")
    pieces = objective.layout.unflatten(theta.detach())
    if normalisation != "none" and not any(piece.dim() > 1 and piece.any() for piece in pieces.values()):
        raise UsageError(
            f'none of the weights makes a filter (a tensor of two dimensions, not all 0), and under "{normalisation}" '
            'the others stay where they are: choose normalisation "none"'
        )
    generator = torch.Generator().manual_seed(APART + seed)
    return (torch.cat([drawn(w, normalisation, generator) for w in pieces.values()]) for _ in range(count))


def drawn(weights: Tensor, normalisation: Normalisation, generator: torch.Generator) -> Tensor:
    """The part of a direction that belongs to one tensor, flat."""
    gaussian = torch.randn(weights.shape, generator=generator, dtype=weights.dtype).to(weights.device)
    if normalisation == "none":
        return gaussian.flatten()
    if weights.dim() < 2:
        return torch.zeros_like(gaussian).flatten()
    if normalisation == "layer":
        weights, gaussian = weights[None], gaussian[None]
    return as_long_as(weights.flatten(1), gaussian.flatten(1)).flatten()


def as_long_as(weights: Tensor, direction: Tensor) -> Tensor:
    """The rows of the direction, each as long as that row of the weights."""
    return F.normalize(direction, dim=1) * weights.norm(dim=1, keepdim=True)
