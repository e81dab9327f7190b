"""Quadratic losses with a formula, as objectives whose theta is a weight matrix or a vector."""

import numpy as np
import torch
from torch import nn

from cases import F64, examples, random
from sharpmin import Objective

CURVATURES = torch.tensor([1.0, 4.0, 0.25, 2.0, 9.0, 0.5], dtype=F64)
SLOPES = torch.tensor([0.5, -1.0, 2.0, 0.0, 0.3, -0.7], dtype=F64)


class Weights(nn.Module):
    """A matrix of weights that is its own output."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(random(2, 3, seed=3))

    def forward(self, x):
        return self.w.flatten()


def tilted(model, batch):
    """sum_i h_i w_i^2 / 2 + g_i w_i + 3, the same for every example."""
    w = model(batch[0])
    return ((CURVATURES * w * w / 2 + SLOPES * w).sum() + 3).expand(len(batch[0]))


def value(theta):
    """The same in numpy."""
    w = np.asarray(theta)
    return float((CURVATURES.numpy() * w * w / 2 + SLOPES.numpy() * w).sum() + 3)


def objective(loss=tilted, **options):
    return Objective(Weights(), examples(5, 1), loss=loss, **options)
