"""What BatchNorm does under each policy, against numpy, and what it leaves behind: nothing."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from cases import F64, random, same_bits
from sharpmin.batchnorm import check_policy, estimating, evaluating, mixes
from sharpmin.errors import UsageError

X = random(9, 4)


def normed(**options) -> nn.BatchNorm1d:
    """A BatchNorm with running statistics unlike the batch's."""
    norm = nn.BatchNorm1d(4, dtype=F64, **options)
    for seed, tensor in enumerate((norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var)):
        tensor.copy_(random(4, seed=seed + 1).abs())
    return norm


def by_hand(norm, mean, var):
    gamma, beta = norm.weight.detach().numpy(), norm.bias.detach().numpy()
    return gamma * (X.numpy() - mean) / np.sqrt(var + norm.eps) + beta


def test_running_normalises_with_the_stored_statistics():
    norm = normed()
    with evaluating(norm, "running"):
        found = norm(X).detach().numpy()
    np.testing.assert_allclose(found, by_hand(norm, norm.running_mean.numpy(), norm.running_var.numpy()), rtol=1e-13)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_batch_normalises_with_the_batchs_statistics(momentum):
    norm = normed(momentum=momentum)
    with evaluating(norm, "batch"):
        found = norm(X).detach().numpy()
    np.testing.assert_allclose(found, by_hand(norm, X.numpy().mean(0), X.numpy().var(0)), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("policy", ["running", "batch"])
def test_dropout_is_off(policy):
    with evaluating(nn.Sequential(dropout := nn.Dropout(0.5), normed()), policy):
        assert torch.equal(dropout(X), X)


class Failing(nn.Module):
    def forward(self, x):
        raise ArithmeticError


@pytest.mark.parametrize("policy", ["running", "batch"])
@pytest.mark.parametrize("fails", [False, True])
def test_everything_comes_back_as_it_was(policy, fails):
    model = nn.Sequential(normed(), nn.BatchNorm1d(4, track_running_stats=False, dtype=F64), nn.Dropout())
    model[0].eval()  # a mixture of modes
    if fails:
        model.append(Failing())
    before = copy.deepcopy(model)
    try:
        with evaluating(model, policy):
            model(X)
    except ArithmeticError:
        assert fails
    assert same_bits(before.state_dict(), model.state_dict())  # with num_batches_tracked
    for was, now in zip(before.modules(), model.modules(), strict=True):
        assert was.training == now.training
        assert getattr(was, "track_running_stats", None) == getattr(now, "track_running_stats", None)


def test_batchnorm_mixes_examples_where_it_uses_the_batch():
    assert not mixes(normed(), "running")
    assert mixes(normed(), "batch")
    assert mixes(nn.BatchNorm1d(4, track_running_stats=False), "running")
    assert not mixes(nn.GroupNorm(2, 4), "batch")


def test_an_unknown_policy_lists_the_choices():
    with pytest.raises(UsageError, match=r"'frozen'.*running, batch, recalibrate"):
        check_policy("frozen")


@pytest.mark.parametrize("using", [lambda norm: evaluating(norm, "batch"), estimating])
def test_a_batch_of_one_is_an_error_that_says_what_to_do(using):
    with pytest.raises(UsageError, match=r"one example.*drop_last=True or"), using(norm := normed()):
        norm(X[:1])
    assert norm.training
    assert norm.track_running_stats
