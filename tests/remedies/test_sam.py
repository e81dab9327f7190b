"""Sharpness-aware minimisation by hand: on a quadratic, and on softmax regression in numpy."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from cases import random, softmax_regression
from remedies.numpys import by_weights, weights_of
from sharpmin.errors import UsageError
from sharpmin.remedies import SAM
from sharpmin.remedies.conservative import trained
from sharpmin.remedies.gradient import mean_gradient
from sharpmin.remedies.sam import sam_gradient
from sharpmin.train_config import TrainConfig
from sharpmin.training import train


def test_on_a_quadratic_it_is_the_gradient_uphill():
    h = random(3, 3).numpy()
    h, x = h @ h.T, nn.Parameter(random(3, seed=1))
    start = x.detach().numpy().copy()

    def gradient(inputs, targets, share=1.0):
        x.grad = torch.from_numpy(h @ x.detach().numpy())
        return torch.zeros(()), torch.zeros(())

    sam_gradient(gradient, torch.zeros(1), torch.zeros(1), weights=[x], rho=0.3)
    g = h @ start
    np.testing.assert_allclose(x.grad, h @ (start + 0.3 * g / np.sqrt(g @ g)), rtol=1e-13)
    np.testing.assert_array_equal(x.detach(), start)


def test_a_step_of_training_by_hand_with_one_norm_over_all_weights():
    problem = softmax_regression()
    x, y, (w, b) = problem.data.inputs.numpy(), problem.data.targets.numpy(), weights_of(problem.model)
    gw, gb = by_weights(x, y, w, b)
    scale = 0.2 / np.sqrt((gw**2).sum() + (gb**2).sum())
    uphill = by_weights(x, y, w + scale * gw, b + scale * gb)
    config = TrainConfig(batch_size=23, epochs=1, learning_rate=0.1, optimizer="sgd", sam=SAM(rho=0.2))
    train(problem.model, problem.data, config)
    for found, start, g in zip(weights_of(problem.model), (w, b), uphill, strict=True):
        np.testing.assert_allclose(found, start - 0.1 * g, rtol=1e-12)


def test_loss_and_hits_are_those_of_the_weights_themselves():
    problem = softmax_regression()
    gradient = partial(mean_gradient, problem.model)
    expected = gradient(problem.data.inputs, problem.data.targets)
    problem.model.zero_grad()
    found = sam_gradient(gradient, problem.data.inputs, problem.data.targets, weights=trained(problem.model), rho=1.0)
    assert [float(value) for value in found] == [float(value) for value in expected]


def test_where_there_is_no_slope_nothing_moves():
    x = nn.Parameter(torch.ones(2))

    def gradient(inputs, targets, share=1.0):
        x.grad = torch.zeros(2)
        return torch.zeros(()), torch.zeros(())

    sam_gradient(gradient, torch.zeros(1), torch.zeros(1), weights=[x, nn.Parameter(torch.ones(1))], rho=1.0)
    assert (x.tolist(), x.grad.tolist()) == ([1.0, 1.0], [0.0, 0.0])


def test_a_distance_that_is_none():
    with pytest.raises(UsageError, match="above 0"):
        SAM(rho=0)
