"""Ghost batches against plain BatchNorm where they are the batch, and against numpy where they are not."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from cases import examples, random, scrambled, shallow
from sharpmin.blocked import Blocked
from sharpmin.errors import UsageError
from sharpmin.remedies import GhostBatchNorm
from sharpmin.remedies.ghost import check_norms, ghost_gradient
from sharpmin.remedies.gradient import mean_gradient
from sharpmin.train_config import TrainConfig
from sharpmin.training import train
from sharpmin.zoo import dense_block


def gradients(model):
    return [p.grad.clone() for p in model.parameters()]


@pytest.mark.parametrize("size", [9, 20])
def test_a_ghost_that_is_the_batch_is_plain_batch_norm(size):
    data, model = examples(9, 2, 8, 8), shallow()
    gradient = partial(mean_gradient, Blocked(model))
    plain = gradient(data.inputs, data.targets)
    expected = gradients(model)
    model.zero_grad()
    found = ghost_gradient(gradient, data.inputs, data.targets, size=size)
    assert all(map(torch.equal, gradients(model), expected))
    assert [float(value) for value in found] == [float(value) for value in plain]


def numpys(x, y, theta, ghosts):
    """Mean loss of Linear(4, 5), BatchNorm, ReLU, Linear(5, 3), each ghost normalised by its own moments."""
    w, b, gamma, beta, v, c = np.split(theta, np.cumsum([20, 5, 5, 5, 15]))
    total = 0.0
    for ghost in ghosts:
        z = x[ghost] @ w.reshape(5, 4).T + b
        z = gamma * (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-3) + beta
        z = np.maximum(z, 0) @ v.reshape(3, 5).T + c
        total += (np.log(np.exp(z).sum(1)) - z[np.arange(len(z)), y[ghost]]).sum()
    return total / len(x)


@pytest.mark.parametrize(
    ("size", "ghosts"),
    [
        (4, [range(4), range(4, 8), range(8, 12)]),
        (5, [range(4), range(4, 8), range(8, 12)]),
        (6, [range(6), range(6, 12)]),
    ],
)
def test_loss_and_gradient_are_those_of_the_moments_of_each_ghost(size, ghosts):
    model = scrambled(nn.Sequential(*dense_block(4, 5), nn.Linear(5, 3)), torch.float64)
    data = examples(12, 4)
    x, y, ghosts = data.inputs.numpy(), data.targets.numpy(), [list(ghost) for ghost in ghosts]
    theta = nn.utils.parameters_to_vector(model.parameters()).detach().numpy()
    found, _ = ghost_gradient(partial(mean_gradient, Blocked(model)), data.inputs, data.targets, size=size)
    assert float(found) == pytest.approx(numpys(x, y, theta, ghosts), rel=1e-12)
    assert float(found) != pytest.approx(numpys(x, y, theta, [range(12)]), rel=1e-3)
    way, h = random(len(theta), seed=3).numpy(), 1e-6
    slope = (numpys(x, y, theta + h * way, ghosts) - numpys(x, y, theta - h * way, ghosts)) / (2 * h)
    assert torch.cat([g.ravel() for g in gradients(model)]).numpy() @ way == pytest.approx(slope, rel=1e-6)


def test_no_ghost_is_larger_than_stated_or_much_smaller_than_another():
    sizes = []

    def gradient(x, y, share=1.0):
        sizes.append((len(y), share))
        return torch.zeros(()), torch.zeros((), dtype=torch.int64)

    ghost_gradient(gradient, torch.zeros(13, 1), torch.zeros(13), share=0.5, size=6)
    assert sizes == [(5, 0.5 * 5 / 13), (4, 0.5 * 4 / 13), (4, 0.5 * 4 / 13)]


def test_a_network_without_batch_norm_is_refused():
    with pytest.raises(UsageError, match="this network has no BatchNorm"):
        check_norms(nn.Linear(4, 3))
    with pytest.raises(UsageError, match="this network has no BatchNorm"):
        train(nn.Linear(4, 3), examples(9, 4), TrainConfig(batch_size=9, ghost_batch_norm=GhostBatchNorm()))


def test_a_ghost_without_a_variance():
    with pytest.raises(UsageError, match="take at least 2"):
        GhostBatchNorm(size=1)
