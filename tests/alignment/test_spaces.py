"""Permuting what belongs together leaves the function as it is; permuting anything less does not."""

import pytest
import torch

from alignment.networks import NETWORKS, copied, shuffles
from cases import random, same_bits
from sharpmin.alignment import Slot, Space, permuted, trace_spaces


@pytest.fixture(params=NETWORKS)
def network(request):
    make, shape = NETWORKS[request.param]
    return make(), random(5, *shape, seed=7)


@pytest.mark.parametrize("training", [False, True])
def test_the_permuted_network_computes_the_same_function(network, training):
    model, x = network
    state, spaces = copied(model), trace_spaces(model)
    for module in model.modules():  # the statistics of the batch, without dropout
        module.training = training and isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
    before = model(x)
    model.load_state_dict(permuted(state, spaces, shuffles(spaces)))
    assert not same_bits(state, model.state_dict())
    torch.testing.assert_close(model(x), before, rtol=1e-11, atol=1e-11)


def test_every_slot_is_needed(network):
    model, x = network
    state, before = copied(model), model(x)
    for space in trace_spaces(model):
        order = torch.arange(space.size).roll(1)
        for left_out in space.slots:
            rest = Space(space.name, space.size, tuple(slot for slot in space.slots if slot != left_out))
            model.load_state_dict(permuted(state, [rest], {space.name: order}))
            unused = before.allclose(model(x), rtol=1e-9, atol=1e-9)
            assert not unused or is_undone_by_norm(left_out, model)


def is_undone_by_norm(slot, model):
    """A bias before a BatchNorm that uses the batch's statistics does nothing."""
    name, _, part = slot.tensor.rpartition(".")
    return part == "bias" and not hasattr(model.get_submodule(name), "eps")


def test_the_blocks_of_a_flattened_image_move_together():
    slot = Slot("w", 1, block=2)
    state = {"w": torch.arange(6.0)[None]}
    found = permuted(state, [Space("a", 3, (slot,))], {"a": torch.tensor([2, 0, 1])})
    assert found["w"].tolist() == [[4, 5, 0, 1, 2, 3]]
    assert state["w"].tolist() == [[0, 1, 2, 3, 4, 5]]


def test_spaces_without_a_permutation_stay(network):
    model, _ = network
    assert same_bits(permuted(model.state_dict(), trace_spaces(model), {}), model.state_dict())
