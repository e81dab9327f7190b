"""Chains in blocks: every layer they know, any block, any part of the weights, against the plain network."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from cases import F64, deep, examples, random, scrambled, shallow
from sharpmin.objective import Objective
from sharpmin.products import Curvature
from sharpmin.products.chain import Chain, can_chain
from sharpmin.zoo import build


def norm1(size):
    return nn.BatchNorm1d(size, track_running_stats=False)


def norm2(size):
    return nn.BatchNorm2d(size, track_running_stats=False)


def pools():
    """Pools ahead of their BatchNorm and not, overlapping, padded, with a rest."""
    layers = [nn.Conv2d(2, 4, 3), norm2(4), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)]
    layers += [nn.Conv2d(4, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, stride=1, dilation=2), nn.AvgPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(3, 4), norm1(4), nn.ReLU(), nn.Linear(4, 3))


def convolutions():
    """Grouped, strided, dilated, without biases; a chain that begins with a BatchNorm and has two layers between."""
    layers = [norm2(2), nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2), norm2(4), nn.ReLU(), nn.Identity()]
    layers += [nn.Conv2d(4, 3, 2, dilation=2, bias=False), nn.ReLU(), nn.Conv2d(3, 3, 1), norm2(3), nn.ReLU()]
    return nn.Sequential(*layers, nn.Dropout(0.5), nn.Flatten(), nn.Linear(12, 3, bias=False))


def dense():
    """No images; no activation after a BatchNorm, and one as the last layer."""
    return nn.Sequential(nn.Linear(5, 4), norm1(4), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3), norm1(3))


def positions():
    """Dense layers at each of four positions, over which BatchNorm takes its channels."""
    return nn.Sequential(nn.Linear(5, 3), norm1(4), nn.ReLU(), nn.Linear(3, 2), nn.Flatten(), nn.Linear(8, 3))


CHAINS = {
    "shallow": (shallow, (2, 8, 8)),
    "deep": (deep, (2, 7, 7)),
    "pools": (lambda: scrambled(pools(), F64), (2, 8, 8)),
    "convolutions": (lambda: scrambled(convolutions(), F64), (2, 8, 8)),
    "dense": (lambda: scrambled(dense(), F64), (5,)),
    "positions": (lambda: scrambled(positions(), F64), (4, 5)),
}


def chain_product(model, data, v, *, block, gauss_newton):
    """The sum over the examples, with cross-entropy."""
    chain = Chain(model, {name: p.detach() for name, p in model.named_parameters()}, set(v), block=block)
    z = chain.forward(data.inputs).requires_grad_()
    loss = F.cross_entropy(z, data.targets, reduction="sum")
    (slope,) = torch.autograd.grad(loss, z, create_graph=True)
    if not gauss_newton:
        chain.backward(slope.detach())
    return chain.product(v, lambda u: torch.autograd.grad(slope, z, u, retain_graph=True)[0])


def assert_same(name, patterns, *, count, block, matrix, seed=0):
    make, shape = CHAINS[name]
    model, data = make(), examples(count, *shape, seed=seed)
    plain = Curvature(Objective(model, data), matrix=matrix, method="double-backward", layers=patterns)
    v = random(plain.size, seed=seed + 5)
    expected = plain.layout.unflatten(count * (plain @ v))
    found = chain_product(model, data, plain.layout.unflatten(v), block=block, gauss_newton=matrix != "hessian")
    scale = max(part.abs().max() for part in expected.values()).clamp(min=1e-3)
    for key, part in expected.items():
        assert (found.get(key, torch.zeros_like(part)) - part).abs().max() <= 1e-10 * scale, key


@pytest.mark.parametrize("block", [1, 4, 100], ids=["single", "ragged", "one block"])
@pytest.mark.parametrize("matrix", ["hessian", "gauss-newton"])
@pytest.mark.parametrize("name", CHAINS)
def test_every_layer_in_any_block(name, matrix, block):
    assert can_chain(CHAINS[name][0]())
    assert_same(name, None, count=9, block=block, matrix=matrix)


@pytest.mark.parametrize("matrix", ["hessian", "gauss-newton"])
@pytest.mark.parametrize("name", CHAINS)
def test_every_weight_alone(name, matrix):
    for parameter in dict(CHAINS[name][0]().named_parameters()):
        assert_same(name, [parameter], count=9, block=4, matrix=matrix)


@settings(max_examples=20, deadline=None)
@given(count=st.integers(2, 20), block=st.integers(1, 25), seed=st.integers(0, 99), name=st.sampled_from(list(CHAINS)))
def test_any_batch_in_any_block(count, block, seed, name):
    assert_same(name, None, count=count, block=block, matrix="hessian", seed=seed)


def test_the_same_layer_twice():
    layer, norm = nn.Linear(3, 3), norm1(3)
    model = scrambled(nn.Sequential(layer, norm, nn.ReLU(), layer, norm), F64)
    data = examples(7, 3)
    plain = Curvature(Objective(model, data), method="double-backward")
    v = random(plain.size)
    found = chain_product(model, data, plain.layout.unflatten(v), block=3, gauss_newton=False)
    torch.testing.assert_close(plain.layout.flatten(found) / 7, plain @ v)


def test_inputs_and_weights_are_not_changed():
    model, data = CHAINS["dense"][0](), examples(7, 5)
    model = nn.Sequential(nn.ReLU(), *model)
    kept, weights = data.inputs.clone(), [p.clone() for p in model.parameters()]
    v = {name: torch.ones_like(p) for name, p in model.named_parameters()}
    before = {name: d.clone() for name, d in v.items()}
    chain_product(model, data, v, block=3, gauss_newton=False)
    assert torch.equal(kept, data.inputs)
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
    assert all(torch.equal(before[name], v[name]) for name in v)


def test_what_is_kept_grows_with_the_batch():
    def kept(count):
        model = shallow()
        chain = Chain(model, {name: p.detach() for name, p in model.named_parameters()}, {"0.weight"}, block=4)
        chain.backward(chain.forward(random(count, 2, 8, 8)))
        return chain.kept

    weights = sum(8 * p.numel() for p in shallow().parameters())
    per_example = (kept(40) - kept(20)) / 20
    assert kept(20) <= 20 * per_example + weights
    assert per_example >= 8 * (3 * 64 + 4 * 16)  # the inputs of two BatchNorms at the least


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(4, 4), nn.ReLU()),
        nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)),
        nn.Sequential(nn.Conv2d(2, 2, 3, padding="same"), norm2(2)),
        nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), norm2(2)),
        nn.Sequential(nn.Linear(4, 4), nn.Tanh(), norm1(4)),
    ],
    ids=["no norm", "running", "padding by name", "circular", "another activation"],
)
def test_what_is_no_chain(model):
    assert not can_chain(model)


@pytest.mark.parametrize("name", ["F1", "C1", "C2"])
def test_the_papers_networks_are_chains(name):
    assert can_chain(build(name, seed=0))
