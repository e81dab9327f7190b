"""What a stage keeps does not show in the numbers, and less is kept only where more does not fit."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cases import F64, deep, examples, random, shallow
from sharpmin.blocked import Blocked, alike, stages
from sharpmin.checkpointing import KEEPS, StageMemory, choose, peak
from sharpmin.held import LiveBytes
from sharpmin.objective import Objective
from sharpmin.zoo import build, conv_block

LESS = ["products", "inputs"]


def relu_after_convolution():
    layers = [nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), *conv_block(3, 4, kernel=3, dropout=0.3), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(196, 3)).to(F64)


NETWORKS = {
    "C1 in small": (lambda: shallow(dropout=0.5), (2, 8, 8)),
    "C2 in small": (deep, (2, 7, 7)),
    "F1 in small": (lambda: build("F1", seed=0, shape=(9,), classes=3).to(F64), (9,)),
    "ReLU after a convolution": (relu_after_convolution, (2, 7, 7)),
}


def results(network, inputs):
    """Outputs and gradient of a random combination of them, with dropout from a fixed seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        outputs = network(inputs)
        weighted = (outputs.to(F64) * random(*outputs.shape, seed=8)).sum()
        return [outputs.detach(), *torch.autograd.grad(weighted, list(network.parameters()))]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("keep", LESS)
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("training", [True, False])
def test_what_is_kept_does_not_show(name, keep, training):
    make, shape = NETWORKS[name]
    model, inputs = make().train(training), random(10, *shape)
    expected = results(Blocked(model, block=4, keep=alike(model, "all")), inputs)
    assert same(results(Blocked(model, block=4, keep=alike(model, keep)), inputs), expected)


@pytest.mark.parametrize("keep", LESS)
def test_loss_and_gradient_are_those_of_the_plain_network(keep):
    model, inputs = deep(dropout=0.0).eval(), random(10, 2, 7, 7)
    found = results(Blocked(model, block=4, keep=alike(model, keep)), inputs)
    for ours, plain in zip(found, results(model, inputs), strict=True):
        assert (ours - plain).abs().max() <= 1e-12 * max(1, plain.abs().max())


@pytest.mark.parametrize("keep", LESS)
def test_dropout_scales_the_gradient_as_the_plain_network_with_the_same_mask_does(keep):
    """A dropout mask read off the forward pass, put into the plain network as a fixed factor."""
    norm = nn.BatchNorm1d(5, track_running_stats=False)
    first, last = nn.Linear(9, 5), nn.Linear(5, 3)
    model = nn.Sequential(first, norm, nn.ReLU(), nn.Dropout(0.5), last).to(F64)
    masks, inputs = [], random(10, 9)
    network = Blocked(model, block=4, keep=alike(model, keep))
    look = lambda _, given, gave: masks.append((gave.detach() / given[0].detach()).nan_to_num())  # noqa: E731
    handle = model[3].register_forward_hook(look)
    found = results(network, inputs)
    handle.remove()
    forward, again = torch.cat(masks[:3]), torch.cat(masks[3:][::-1])
    assert torch.equal(forward[again != 0], again[again != 0])
    assert {0.0, 2.0} == set(forward.unique().tolist())

    def plain(x):
        return last(norm(first(x)).relu() * forward)

    plain.parameters = model.parameters
    for ours, expected in zip(found, results(plain, inputs), strict=True):
        assert (ours - expected).abs().max() <= 1e-12 * max(1, expected.abs().max())


@pytest.mark.parametrize("keep", LESS)
def test_bfloat16_is_computed_again_in_bfloat16(keep):
    model, inputs = deep(dtype=torch.float32), random(10, 2, 7, 7, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        expected = results(Blocked(model, block=4, keep=alike(model, "all")), inputs)
        network = Blocked(model, block=4, keep=alike(model, keep))
        outputs = network(inputs)
    assert outputs.dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert same(results(network, inputs), expected)


def test_an_objective_computes_again_with_its_own_theta_and_mode(monkeypatch):
    """By the time of the backward pass the model has its own weights and its training mode back."""
    model, data = deep().train(), examples(300, 2, 7, 7)
    f = Objective(model, data, batch_norm="batch")
    theta = f.theta + 0.1 * random(*f.theta.shape, seed=5)
    value, gradient = f.value_and_grad(theta)
    monkeypatch.setattr("sharpmin.blocked.available_memory", lambda: 1)
    less_value, less_gradient = f.value_and_grad(theta)
    assert less_value == value
    assert torch.equal(less_gradient, gradient)


def test_memory_decides(monkeypatch):
    network, inputs = Blocked(deep(), block=4), random(10, 2, 7, 7)
    assert network.chosen(inputs) == alike(network.model, "all")
    monkeypatch.setattr("sharpmin.blocked.available_memory", lambda: 1)
    least = network.chosen(inputs)
    assert {"products", "inputs"} <= set(least)
    assert network.chosen(inputs[:4]) == alike(network.model, "all")  # one block: nothing would be saved
    with torch.no_grad():
        assert network.chosen(inputs) == alike(network.model, "all")
    assert Blocked(deep(), block=4, memory=1e9).chosen(inputs) == alike(network.model, "all")
    monkeypatch.setattr("sharpmin.blocked.available_memory", lambda: None)
    assert network.chosen(inputs) == alike(network.model, "all")


@pytest.mark.parametrize("keep", KEEPS)
def test_bytes_held_over_a_whole_step_are_those_foretold(keep):
    model, count, block = build("C1", seed=0).train(), 24, 4
    network = Blocked(model, block=block, keep=alike(model, keep))
    inputs = torch.rand(count, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    stages = network.measured(inputs)
    with LiveBytes(inputs, *model.parameters()) as live:
        loss = network(inputs).sum()
        after_forward = live.alive
        torch.autograd.grad(loss, list(model.parameters()))
    kept = sum(stage.kept[keep] for stage in stages) * count
    assert 0.95 < after_forward / kept < 1.1
    gradients = 2 * 4 * sum(p.numel() for p in model.parameters())
    assert live.peak - gradients <= peak(stages, network.keep, count, block=block) < 1.5 * live.peak


def test_everything_that_autograd_saves_is_counted_alike():
    network = Blocked(build("C1", seed=0))
    inputs = torch.rand(3, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    held = sum(stage.kept["all"] for stage in network.measured(inputs))
    assert abs(network.saved(inputs) / held - 1) < 0.05


def test_measuring_disturbs_nothing():
    model, before = shallow(dropout=0.5), torch.get_rng_state()
    state = [p.clone() for p in model.parameters()]
    Blocked(model).measured(random(3, 2, 8, 8))
    assert torch.equal(torch.get_rng_state(), before)
    assert same(state, model.parameters())
    assert all(p.grad is None for p in model.parameters())


def stage(*kept, joined=False):
    return StageMemory(dict(zip(KEEPS, kept, strict=True)), joined)


@given(
    kept=st.lists(st.tuples(*[st.integers(0, 50)] * 3).map(lambda t: stage(*sorted(t, reverse=True))), min_size=1),
    budget=st.integers(0, 20_000),
)
def test_the_choice_fits_where_any_does_and_no_stage_is_computed_again_for_nothing(kept, budget):
    chosen = choose(kept, 100, budget, block=8)
    least = peak(kept, ["inputs"] * len(kept), 100, block=8)
    assert peak(kept, chosen, 100, block=8) <= max(budget, least)
    if peak(kept, ["all"] * len(kept), 100, block=8) <= budget:
        assert set(chosen) == {"all"}
    assert all(how == "all" or part.kept[how] < part.kept["all"] for part, how in zip(kept, chosen, strict=True))


def test_the_last_step_down_was_needed():
    kept, less = [stage(9, 5, 1), stage(20, 5, 4), stage(3, 3, 3)], ("all", "products", "all")
    enough = peak(kept, less, 100, block=1)
    assert choose(kept, 100, enough, block=1) == less
    assert choose(kept, 100, enough - 1, block=1) == ("products", "products", "all")


def test_a_joined_stage_is_in_flight_whole():
    assert peak([stage(10, 10, 10, joined=True)], ("all",), 100, block=1) == 1000 + 2000
    assert peak([stage(10, 10, 10)], ("all",), 100, block=1) == 1000 + 20


def test_stages_are_those_of_the_network():
    assert len(Blocked(deep()).measured(random(3, 2, 7, 7))) == len(stages(deep()))
