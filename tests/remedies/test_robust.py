"""Adversarial inputs on softmax regression in closed form, and the gradient in the inputs that the CPU path gives."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from cases import examples, plain_loss, random, shallow, softmax_regression
from remedies.numpys import by_inputs, by_weights, loss, weights_of
from sharpmin.blocked import Blocked, alike
from sharpmin.checkpointing import KEEPS
from sharpmin.data import Examples
from sharpmin.errors import UsageError
from sharpmin.remedies import Robust
from sharpmin.remedies.gradient import mean_gradient
from sharpmin.remedies.robust import robust_gradient


@pytest.mark.parametrize("clean", [0.5, 0.2])
def test_the_gradient_is_the_mixed_losss_in_closed_form(clean):
    problem = softmax_regression()
    model, x, y = problem.model, problem.data.inputs.numpy(), problem.data.targets.numpy()
    w, b = weights_of(model)
    moved = x + 0.3 * np.sign(by_inputs(x, y, w, b))
    gradient = partial(mean_gradient, model)
    found, hits = robust_gradient(gradient, problem.data.inputs, problem.data.targets, epsilon=0.3, clean=clean)
    for got, nominal, worst in zip(
        (model.weight, model.bias), by_weights(x, y, w, b), by_weights(moved, y, w, b), strict=True
    ):
        np.testing.assert_allclose(got.grad, clean * nominal + (1 - clean) * worst, rtol=1e-12)
    assert float(found) == pytest.approx(loss(x, y, w, b), rel=1e-12)
    assert int(hits) == ((x @ w.T + b).argmax(1) == y).sum()
    assert loss(moved, y, w, b) > loss(x, y, w, b)


def test_of_two_classes_the_direction_is_the_sign_of_their_weights_difference():
    model, seen = nn.Linear(4, 2), []

    def gradient(x, y, share=1.0):
        seen.append(x.detach())
        return mean_gradient(model, x, y, share)

    x, y = torch.zeros(3, 4), torch.tensor([0, 1, 0])
    robust_gradient(gradient, x, y, epsilon=0.25, clean=0.5)
    towards_the_other = (model.weight[1] - model.weight[0]).sign()
    assert torch.equal(seen[0], x)
    assert torch.equal(seen[1], 0.25 * torch.stack([towards_the_other, -towards_the_other, towards_the_other]))


@pytest.mark.parametrize("keep", KEEPS)
def test_blocks_give_the_gradient_in_the_inputs_by_finite_differences(keep):
    model, data = shallow(), examples(7, 2, 8, 8)
    theta = nn.utils.parameters_to_vector(model.parameters()).detach()
    inputs = data.inputs.clone().requires_grad_()
    mean_gradient(Blocked(model, block=3, keep=alike(model, keep)), inputs, data.targets)
    way, h = random(*inputs.shape, seed=5), 1e-5
    up, down = (
        plain_loss(model, Examples(data.inputs + s * h * way, data.targets), theta, batch_size=7) for s in (1, -1)
    )
    assert float((inputs.grad * way).sum()) == pytest.approx((up - down) / (2 * h), rel=1e-6)


@pytest.mark.parametrize(
    ("bad", "says"), [({"epsilon": 0}, "above 0"), ({"clean": 1}, "between 0 and 1"), ({"clean": 0}, "between 0 and 1")]
)
def test_numbers_that_are_no_mixture(bad, says):
    with pytest.raises(UsageError, match=says):
        Robust(**bad)
