"""The proximal sub-problem: on a quadratic by its closed form, on softmax regression with Adam by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from cases import F64, random, softmax_regression
from remedies.numpys import by_weights, weights_of
from sharpmin.data import Examples
from sharpmin.errors import UsageError
from sharpmin.remedies import Conservative
from sharpmin.train_config import TrainConfig
from sharpmin.training import train, train_step

CURVATURE, CENTRE, START = (random(3, seed=seed).abs() + 0.5 for seed in range(3))


def solved(conservative, *, rate):
    """One batch whose f is sum h (x - c)^2 / 2, by gradient descent."""
    model = nn.Module()
    model.x = nn.Parameter(START.clone())

    def gradient(inputs, targets, share=1.0):
        model.x.grad = CURVATURE * (model.x.detach() - CENTRE)
        return torch.zeros(()), torch.zeros(())

    nothing, only = Examples(torch.zeros(1), torch.zeros(1)), torch.zeros(1, dtype=torch.int64)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    train_step(model, nothing, gradient, optimizer, only, conservative=conservative)
    return model.x.detach().numpy()


def test_many_iterations_reach_the_minimizer_of_the_proximal_problem():
    found = solved(Conservative(strength=0.7, iterations=300), rate=0.3)
    np.testing.assert_allclose(found, (CURVATURE * CENTRE + 0.7 * START) / (CURVATURE + 0.7), rtol=1e-12)


def test_three_iterations_by_hand():
    x = start = START.numpy()
    for _ in range(3):
        x = x - 0.1 * (CURVATURE.numpy() * (x - CENTRE.numpy()) + 0.7 * (x - start))
    np.testing.assert_allclose(solved(Conservative(strength=0.7, iterations=3), rate=0.1), x, rtol=1e-14)


def test_without_a_term_and_with_one_iteration_it_is_the_plain_step():
    plain = solved(None, rate=0.1)
    np.testing.assert_array_equal(plain, solved(Conservative(strength=9.0, iterations=1), rate=0.1))
    np.testing.assert_allclose(plain, START - 0.1 * CURVATURE * (START - CENTRE), rtol=1e-15)


def test_adam_by_hand_on_two_batches_its_moments_going_on():
    problem, config = softmax_regression(count=20), TrainConfig(batch_size=20, epochs=2, learning_rate=0.05)
    x, y = problem.data.inputs.numpy(), problem.data.targets.numpy()
    theta = np.concatenate([part.ravel() for part in weights_of(problem.model)])
    m, v, step = np.zeros_like(theta), np.zeros_like(theta), 0
    for _ in range(2):
        start = theta
        for _ in range(3):
            slope = np.concatenate([p.ravel() for p in by_weights(x, y, theta[:12].reshape(3, 4), theta[12:])])
            g, step = slope + 2.0 * (theta - start), step + 1
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            theta = theta - 0.05 * m / (1 - 0.9**step) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    model = problem.model
    state = train(model, problem.data, TrainConfig.of({**vars(config), "conservative": {"strength": 2.0}}))
    found = np.concatenate([p.ravel() for p in weights_of(model)])
    np.testing.assert_allclose(found, theta, rtol=1e-9)
    assert {float(value) for key, value in state.moments.items() if key.endswith(".step")} == {6.0}
    assert model.weight.dtype == F64


def test_a_frozen_weight_is_left_alone():
    model = nn.Linear(4, 3)
    model.bias.requires_grad_(False)
    before = model.bias.clone()
    config = TrainConfig(batch_size=10, epochs=1, conservative=Conservative())
    train(model, softmax_regression(dtype=torch.float32).data, config)
    assert torch.equal(model.bias, before)


@pytest.mark.parametrize(
    ("bad", "says"), [({"strength": -1}, "choose lambda from 0 on"), ({"iterations": 0}, "take at least 1")]
)
def test_numbers_that_are_no_sub_problem(bad, says):
    with pytest.raises(UsageError, match=says):
        Conservative(**bad)
