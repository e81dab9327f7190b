"""theta and the named tensors it is made of."""

import pytest
import torch
from torch import nn

from cases import random, same_bits, shallow
from sharpmin.errors import UsageError
from sharpmin.weights import layout, matching


def test_flatten_and_unflatten_are_inverse_and_in_the_order_of_pytorch():
    model = shallow()
    named, places = dict(model.named_parameters()), layout(model)
    theta = places.flatten(named)
    assert torch.equal(theta, nn.utils.parameters_to_vector(model.parameters()))
    assert same_bits(places.unflatten(theta), {name: p.detach() for name, p in named.items()})
    assert places.size == len(theta)


def test_flatten_copies_and_unflatten_does_not():
    model = nn.Linear(2, 2)
    places = layout(model)
    theta = places.flatten(dict(model.named_parameters()))
    theta.zero_()
    assert model.weight.any()
    places.unflatten(theta)["bias"].fill_(7)
    assert theta.tolist() == [0, 0, 0, 0, 7, 7]


def test_channels_last_weights_flatten_as_plain_ones():
    model = shallow()
    places = layout(model)
    plain = places.flatten(dict(model.named_parameters()))
    model.to(memory_format=torch.channels_last)
    assert torch.equal(places.flatten(dict(model.named_parameters())), plain)


def test_only_trainable_weights_count_unless_named():
    model = nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    assert layout(model).names == ("weight",)
    assert layout(model, parameters=["bias"]).names == ("bias",)


def test_tied_weights_count_once():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    assert layout(model).names == ("0.weight", "0.bias", "1.bias")


def test_a_parameter_named_twice_counts_once():
    places = layout(nn.Linear(3, 2), parameters=["bias", "weight", "bias"])
    assert (places.names, places.size) == (("bias", "weight"), 8)


def test_every_tensor_that_does_not_fit_is_named():
    places = layout(nn.Linear(3, 2))
    with pytest.raises(UsageError, match=r"weight: \[3, 2\], not \[2, 3\]; bias: missing"):
        places.flatten({"weight": random(3, 2)})


@pytest.mark.parametrize("theta", [random(7), random(9), random(8, 1), random(2, 4)])
def test_a_theta_of_another_size_is_refused(theta):
    with pytest.raises(UsageError, match=r"this network has \[8\] weights"):
        layout(nn.Linear(3, 2)).unflatten(theta)


def test_unknown_or_no_parameters_are_refused():
    model = nn.Linear(3, 2)
    with pytest.raises(UsageError, match="no such parameters: scale; the model has weight, bias"):
        layout(model, parameters=["weight", "scale"])
    with pytest.raises(UsageError, match="no trainable parameters"):
        layout(model.requires_grad_(False))


def test_patterns_choose_parameters_in_the_models_order():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 1))
    assert matching(model, ["2.*", "0.w*"]) == ("0.weight", "2.weight", "2.bias")


def test_a_tied_weight_answers_to_each_of_its_names():
    model = nn.ModuleDict({"embed": nn.Embedding(3, 2), "head": nn.Linear(2, 3, bias=False)})
    model["head"].weight = model["embed"].weight
    assert matching(model, ["head.*"]) == ("embed.weight",)


def test_a_pattern_that_matches_nothing_lists_the_names():
    with pytest.raises(UsageError, match=r"'layer4\.\*'.*weight, bias"):
        matching(nn.Linear(2, 2), ["layer4.*"])
