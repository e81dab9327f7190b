"""Blocked against the plain network: the same function and the same gradient."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cases import F64, deep, examples, random, shallow
from sharpmin.blocked import Blocked, can_block
from sharpmin.objective import Objective
from sharpmin.zoo import build


def logits_and_gradient(network, model, inputs):
    """The logits, and the gradient of a random combination of them."""
    logits = network(inputs)
    weighted = (logits * random(*logits.shape, seed=8).to(logits.dtype)).sum()
    return logits.detach(), torch.autograd.grad(weighted, list(model.parameters()))


def assert_same(model, inputs, *, block, tolerance=1e-12):
    plain, plain_gradient = logits_and_gradient(model, model, inputs)
    blocked, gradient = logits_and_gradient(Blocked(model, block=block), model, inputs)
    assert (blocked - plain).abs().max() <= tolerance * plain.abs().max()
    scale = max(g.abs().max() for g in plain_gradient)
    assert all((a - b).abs().max() <= tolerance * scale for a, b in zip(gradient, plain_gradient, strict=True))


@pytest.mark.parametrize("block", [1, 3, 8, 100], ids=["single", "ragged", "even", "one block"])
@pytest.mark.parametrize("training", [True, False])
def test_c1_in_small_with_scales_of_both_signs(block, training):
    model = shallow().train(training)
    assert any((layer.weight < 0).any() for layer in model if isinstance(layer, nn.BatchNorm2d))
    assert_same(model, random(16, 2, 8, 8, seed=1), block=block)


@pytest.mark.parametrize("block", [3, 100])
def test_c2_in_small_without_its_dropout(block):
    assert_same(deep().eval(), random(10, 2, 7, 7, seed=1), block=block)


def test_dense_chain():
    model = build("F1", seed=0, shape=(9,), classes=3).to(F64)
    assert_same(model, random(11, 9), block=4)


@pytest.mark.parametrize("between", [[], [nn.Dropout(0.5)], [nn.Identity()], [nn.Flatten()], [nn.Flatten(), nn.ReLU()]])
def test_relus_without_weights_between_them(between):
    model = (
        nn.Sequential(
            nn.Linear(9, 5),
            nn.BatchNorm1d(5, track_running_stats=False),
            nn.ReLU(),
            *between,
            nn.ReLU(),
            nn.Linear(5, 3),
        )
        .to(F64)
        .eval()
    )
    assert_same(model, random(11, 9), block=4)


def test_what_goes_in_is_not_changed_where_its_gradient_is_asked_for():
    model = nn.Sequential(nn.ReLU(), *build("F1", seed=0, shape=(9,), classes=3).to(F64))
    inputs = random(5, 9).requires_grad_()
    moved = inputs * 1
    Blocked(model, block=2)(moved).sum().backward()
    assert torch.equal(moved, inputs)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(2, 20), block=st.integers(1, 25), seed=st.integers(0, 99))
def test_any_batch_in_any_block(count, block, seed):
    assert_same(shallow(), random(count, 2, 8, 8, seed=seed), block=block, tolerance=1e-10)


def test_the_weights_are_the_wrapped_models_and_are_not_changed():
    model = shallow()
    before = [p.clone() for p in model.parameters()]
    network = Blocked(model)
    network(random(5, 2, 8, 8)).sum().backward()
    assert all(a is b for a, b in zip(network.parameters(), model.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_the_inputs_are_not_changed():
    inputs = random(5, 9)
    kept = inputs.clone()
    Blocked(nn.Sequential(nn.ReLU(), *build("F1", seed=0, shape=(9,), classes=3).to(F64)))(inputs)
    assert torch.equal(inputs, kept)


def test_bfloat16_rounds_as_much_as_the_plain_network_does():
    model, inputs = shallow(dtype=torch.float32), random(16, 2, 8, 8, seed=1, dtype=torch.float32)
    exact = model(inputs)
    with torch.autocast("cpu", torch.bfloat16):
        plain, blocked = model(inputs).float(), Blocked(model, block=5)(inputs).float()
    assert 0 < (blocked - exact).abs().max() < 3 * (plain - exact).abs().max()


def test_dropout_is_drawn_in_training():
    network = Blocked(deep(), block=4)
    inputs = random(10, 2, 7, 7)
    assert not torch.equal(network(inputs), network(inputs))


class Doubled(nn.Sequential):
    def forward(self, x):
        return 2 * super().forward(x)


class Centred(nn.BatchNorm1d):
    def forward(self, x):
        return x - x.mean(0)


NORM = nn.BatchNorm1d(4, track_running_stats=False)


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)),
        nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, affine=False, track_running_stats=False)),
        nn.Sequential(nn.Sequential(nn.Linear(4, 4), NORM)),
        nn.Sequential(nn.LayerNorm(4), NORM),
        nn.Sequential(nn.Linear(4, 4), nn.ReLU()),
        nn.Linear(4, 4),
        Doubled(nn.Linear(4, 4), NORM),
        nn.Sequential(nn.Linear(4, 4), Centred(4, track_running_stats=False)),
    ],
    ids=["running", "no scale", "nested", "unknown", "no norm", "no chain", "own forward", "own norm"],
)
def test_what_cannot_be_blocked_is_refused(model):
    assert not can_block(model)


@pytest.mark.parametrize("place", [None, 2], ids=["the model", "a layer"])
@pytest.mark.parametrize("kind", ["forward", "forward_pre", "full_backward", "full_backward_pre"])
def test_what_somebody_watches_is_called_layer_by_layer(place, kind):
    model = shallow()
    watched = model if place is None else model[place]
    handle = getattr(watched, f"register_{kind}_hook")(lambda *_: None)
    assert not can_block(model)
    handle.remove()
    assert can_block(model)


def test_a_hook_that_changes_what_goes_through_is_part_of_f():
    """Logits that a hook sets to 0 give log(classes), whatever the weights."""
    model, data = shallow(), examples(6, 2, 8, 8)
    model.register_forward_hook(lambda module, inputs, output: output * 0)
    f = Objective(model, data)
    value, gradient = f.value_and_grad(f.theta)
    assert value == f.value(f.theta) == pytest.approx(math.log(3), rel=1e-15)
    assert not gradient.any()


@pytest.mark.parametrize("name", ["F1", "C1", "C2"])
def test_the_papers_networks_can_be_blocked(name):
    assert can_block(build(name, seed=0))


def test_a_single_example_is_normalised_to_0_as_in_blocks():
    model = build("F1", seed=0, shape=(9,), classes=3).to(F64)
    one = Blocked(model)(random(1, 9))
    torch.testing.assert_close(one, model[-1](torch.relu(model[-3].bias).expand(1, -1)), rtol=0, atol=1e-12)
