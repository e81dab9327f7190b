"""A data set made up on the spot: enough to try every step without a download.

Each class has a prototype, drawn once; an example is its class's prototype plus Gaussian noise, clipped to
[0, 1] like pixels. The classes overlap pixel by pixel but are far apart as whole inputs, so networks learn
them in a few steps. The numbers mean nothing.
"""

import math

import torch
from torch import Generator, Tensor

from sharpmin.data.examples import Examples, Split
from sharpmin.errors import UsageError

PROTOTYPE_SPREAD = 0.1
NOISE = 0.2


def synthetic(
    *,
    train: int = 5000,
    test: int = 1000,
    shape: tuple[int, ...] = (3, 32, 32),
    classes: int = 10,
    seed: int = 0,
) -> Split:
    """Return `train` and `test` examples of inputs [*shape]; the same seed gives the same bits."""
    if min(train, test, classes, *shape) < 1 or not shape:
        raise UsageError(f"synthetic data needs positive sizes: {train=}, {test=}, {shape=}, {classes=}")
    generator = Generator().manual_seed(seed)
    prototypes = 0.5 + PROTOTYPE_SPREAD * torch.randn(classes, math.prod(shape), generator=generator)
    return Split(
        name="synthetic",
        train=_draw(prototypes, train, shape, generator),
        test=_draw(prototypes, test, shape, generator),
        classes=classes,
        synthetic=True,
        source=f"made up: {classes} Gaussian classes, seed {seed}",
    )


def _draw(prototypes: Tensor, count: int, shape: tuple[int, ...], generator: Generator) -> Examples:
    """Draw `count` examples in random order, as many of each class as can be."""
    targets = torch.randperm(count, generator=generator) % len(prototypes)
    inputs = torch.randn(count, prototypes.shape[1], generator=generator).mul_(NOISE)
    inputs.add_(prototypes[targets]).clamp_(0, 1)
    return Examples(inputs.reshape(count, *shape), targets)
