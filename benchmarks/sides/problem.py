"""The model and the images that all sides of a comparison have."""

from dataclasses import dataclass

import torch
from torch import nn

from sharpmin import data, zoo

DENSE = "dense-"  # and a number of hidden layers


@dataclass(frozen=True)
class Problem:
    """A network with batch statistics, and random images of the shape that it takes.

    Attributes:
        network: of the zoo, or "dense-K": F1 with K hidden layers.
        images: how many, as one batch up to 5000.

    """

    network: str = "C1"
    images: int = 5000

    def model(self, seed: int = 0) -> nn.Sequential:
        """The network at a starting point, for evaluation."""
        if not self.network.startswith(DENSE):
            return zoo.build(self.network, seed=seed).eval()
        model = zoo.fully_connected(784, 10, hidden=int(self.network.removeprefix(DENSE)))
        zoo.glorot_uniform_(model, generator=torch.Generator().manual_seed(seed))
        return model.eval()

    def examples(self) -> data.Examples:
        """The images with their classes."""
        dense = self.network.startswith(DENSE)
        shape = zoo.default_interface("F1" if dense else self.network).shape
        return data.synthetic(train=self.images, test=1, shape=shape).train

    @property
    def weights(self) -> int:
        """How many the network has."""
        return sum(weight.numel() for weight in self.model().parameters())
