"""Moments of a batch from those of its blocks: against numpy on the whole batch, gradients against differences."""

import numpy as np
import pytest
import torch

from cases import random
from sharpmin.distributed.group import ALONE
from sharpmin.moments import Moments, Normalise, merge_all


def part(z):
    return len(z), z[0, 0].numel(), *Moments.apply(z)


@pytest.mark.parametrize("sizes", [[7], [3, 4], [1, 1, 5], [2, 2, 2, 1]])
def test_those_of_blocks_of_any_size_are_those_of_the_batch(sizes):
    z = random(7, 3, 2, 4, seed=1) + 50
    mean, var = merge_all(ALONE, [part(block) for block in z.split(sizes)])
    assert np.allclose(mean, z.numpy().mean((0, 2, 3)), rtol=1e-14, atol=0)
    assert np.allclose(var, z.numpy().var((0, 2, 3)), rtol=1e-12, atol=0)


def test_a_gradient_reaches_every_block_as_if_there_were_one():
    z = random(5, 2, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: merge_all(ALONE, [part(block) for block in z.split([2, 3])]), z)


def test_half_precision_activations_have_single_precision_moments():
    z = random(6, 2, 3, seed=1).bfloat16()
    mean, var = Moments.apply(z)
    assert mean.dtype == var.dtype == torch.float32
    assert np.allclose(mean, z.double().numpy().mean((0, 2)), rtol=1e-5, atol=1e-6)
    assert np.allclose(var, z.double().numpy().var((0, 2)), rtol=1e-5)


def test_normalised_by_given_moments():
    z, gamma, beta = random(5, 2, 3, seed=1), torch.tensor([0.5, -2.0]).double(), torch.tensor([1.0, 0.0]).double()
    mean, var = torch.tensor([0.3, -1.0]).double(), torch.tensor([2.0, 0.1]).double()
    by_hand = [gamma[c] * (z[:, c] - mean[c]) / (var[c] + 1e-5) ** 0.5 + beta[c] for c in range(2)]
    assert torch.allclose(Normalise.apply(z, mean, var, gamma, beta, 1e-5), torch.stack(by_hand, 1), rtol=1e-13)
    inputs = [t.requires_grad_() for t in (z, mean, var, gamma, beta)]
    assert torch.autograd.gradcheck(lambda *tensors: Normalise.apply(*tensors, 1e-5), inputs)
