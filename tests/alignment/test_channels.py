"""What has to be permuted together, in networks whose answer is written out by hand; and what is refused."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from alignment.networks import NETWORKS, Residual
from sharpmin import zoo
from sharpmin.alignment import trace_spaces
from sharpmin.errors import UsageError


def found(model):
    return {space.name: {(slot.tensor, slot.axis, slot.block) for slot in space.slots} for space in trace_spaces(model)}


def whole(*names, axis=0):
    return {(name, axis, 1) for name in names}


def norm(name, *, statistics=True):
    parts = ("weight", "bias", "running_mean", "running_var") if statistics else ("weight", "bias")
    return whole(*(f"{name}.{part}" for part in parts))


def test_a_convolutional_network_with_a_flattened_image():
    model = zoo.build("C1", seed=0)
    expected = {
        "0": whole("0.weight", "0.bias") | norm("1", statistics=False) | whole("4.weight", axis=1),
        "4": whole("4.weight", "4.bias") | norm("5", statistics=False) | {("9.weight", 1, 64)},
        "9": whole("9.weight", "9.bias") | norm("10", statistics=False) | whole("13.weight", axis=1),
        "13": whole("13.weight", "13.bias") | norm("14", statistics=False) | whole("17.weight", axis=1),
    }
    assert found(model) == expected
    assert [space.size for space in trace_spaces(model)] == [64, 64, 384, 192]


def test_a_residual_network_ties_what_the_skips_add():
    spaces = found(Residual())
    assert list(spaces) == ["stem.0", "blocks.0.first", "blocks.1.first", "blocks.2.first", "blocks.2.second"]
    assert spaces["stem.0"] == (
        whole("stem.0.weight", "stem.0.bias")
        | norm("stem.1")
        | whole("blocks.0.first.weight", axis=1)
        | whole("blocks.0.second.weight")
        | norm("blocks.0.last")
        | whole("blocks.1.first.weight", axis=1)
        | whole("blocks.1.second.weight")
        | norm("blocks.1.last")
        | whole("blocks.2.first.weight", "blocks.2.shortcut.0.weight", axis=1)
    )
    assert spaces["blocks.2.second"] == (
        whole("blocks.2.second.weight", "blocks.2.shortcut.0.weight")
        | norm("blocks.2.last")
        | norm("blocks.2.shortcut.1")
        | whole("head.weight", axis=1)
    )


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_all_hidden_units_of_the_papers_networks_can_be_permuted(name):
    model = zoo.build(name, seed=0, shape=None if name[0] == "F" else (3, 32, 32))
    layers = [m for m in model if isinstance(m, nn.Linear | nn.Conv2d)]
    assert [space.size for space in trace_spaces(model)] == [layer.weight.shape[0] for layer in layers[:-1]]


class Custom(nn.Module):
    """A network whose forward pass is given."""

    def __init__(self, computed, **layers):
        super().__init__()
        self.computed = computed
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x, mask=None):
        if mask is not None:
            raise AssertionError
        return self.computed(self, x)


def conv(inputs=2, outputs=4, **options):
    return nn.Conv2d(inputs, outputs, 3, padding=1, **options)


FLATTENINGS = {
    "flatten": lambda x: x.flatten(1),
    "function": lambda x: torch.flatten(x, start_dim=1),
    "view": lambda x: x.view(x.size(0), -1),
    "columns": lambda x: x.view(x.size()[0], 64),
    "shape": lambda x: x.reshape((x.shape[0], -1)),
}


@pytest.mark.parametrize("way", FLATTENINGS)
def test_ways_to_flatten(way):
    model = Custom(lambda s, x: s.b(FLATTENINGS[way](F.max_pool2d(F.relu(s.a(x)), 2))), a=conv(), b=nn.Linear(64, 3))
    assert found(model) == {"a": whole("a.weight", "a.bias") | {("b.weight", 1, 16)}}


VIEWS = {
    "a row for each pixel": lambda x: x.view(-1, 4),
    "columns": lambda x: x.view(-1, 64),
    "a number of rows": lambda x: x.reshape(8, -1),
    "another axis": lambda x: x.view(x.size(1), -1),
    "part of the shape": lambda x: x.reshape((x.shape[2:][0], -1)),
}


@pytest.mark.parametrize("way", VIEWS)
def test_a_view_that_may_not_be_a_row_for_each_example_is_refused(way):
    model = Custom(lambda s, x: s.b(VIEWS[way](F.relu(s.a(x)))), a=conv(), b=nn.Linear(64, 3))
    with pytest.raises(UsageError, match=r"(view|reshape) in the .*one row for each example, as flatten\(1\) and view"):
        trace_spaces(model)


AVERAGES = {
    "axes": lambda x: x.mean((2, 3)),
    "last": lambda x: x.mean(dim=[-1, -2]),
    "kept": lambda x: torch.flatten(x.mean((2, 3), keepdim=True), 1),
    "pool": lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1),
}


@pytest.mark.parametrize("way", AVERAGES)
def test_ways_to_average_over_an_image(way):
    model = Custom(lambda s, x: F.log_softmax(s.b(AVERAGES[way](s.a(x))), 1), a=conv(), b=nn.Linear(4, 3))
    assert found(model) == {"a": whole("a.weight", "a.bias") | whole("b.weight", axis=1)}


def test_functions_dropout_and_prelu():
    model = nn.Sequential(nn.Linear(3, 4), nn.PReLU(4), nn.Linear(4, 4), nn.PReLU(), nn.Dropout(), nn.Linear(4, 2))
    expected = {
        "0": whole("0.weight", "0.bias", "1.weight") | whole("2.weight", axis=1),
        "2": whole("2.weight", "2.bias") | whole("5.weight", axis=1),
    }
    assert found(model) == expected
    model = Custom(lambda s, x: s.b(F.dropout(2 * torch.tanh(s.a(x)), 0.5, s.training)), a=conv(3, 4), b=conv(4, 2))
    assert list(found(model)) == ["a"]


def test_what_is_tied_to_the_input_stays_in_its_order():
    model = Custom(lambda s, x: s.b(x + s.a(x)), a=nn.Linear(4, 4), b=nn.Linear(4, 3))
    assert found(model) == {}
    model = Custom(lambda s, x: (s.b(s.a(x)), s.a.weight), a=nn.Linear(4, 4), b=nn.Linear(4, 3))
    assert list(found(model)) == ["a"]
    model = Custom(lambda s, x: [s.b(h := s.a(x)), h], a=nn.Linear(4, 4), b=nn.Linear(4, 3))
    assert found(model) == {}


def hooked():
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    model[2].register_forward_pre_hook(lambda module, inputs: (inputs[0].flip(1),))
    return model


def tied():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    return model


def dense_pair(computed, **sizes):
    return Custom(computed, a=nn.Linear(4, 4), b=nn.Linear(sizes.get("inputs", 4), 3), c=nn.Linear(4, 2))


REFUSED = {
    "concatenation": (
        dense_pair(lambda s, x: s.b(torch.cat([s.a(x), x], 1)), inputs=8),
        r"cat in the model itself \(Custom\): there is no rule for it; docs/connect.md lists",
    ),
    "concatenation inside": (
        nn.Sequential(nn.Linear(4, 4), dense_pair(lambda s, x: s.b(torch.cat([x, x], 1)), inputs=8)),
        r"cat in module '1' \(Custom\)",
    ),
    "attention": (
        nn.Sequential(nn.Linear(4, 4), nn.TransformerEncoderLayer(4, 2)),
        r"TransformerEncoderLayer \(module '1'\)",
    ),
    "attention function": (
        dense_pair(lambda s, x: s.b(F.scaled_dot_product_attention(s.a(x), x, x))),
        "through scaled_dot_product_attention in the model itself",
    ),
    "shared layer": (dense_pair(lambda s, x: s.b(s.a(s.a(x)))), r"Linear \(module 'a'\): it is called twice"),
    "shared statistics": (
        Custom(
            lambda s, x: s.c(s.n(s.b(s.n(s.a(x))))), n=nn.BatchNorm2d(4, affine=False), a=conv(), b=conv(4), c=conv(4)
        ),
        r"BatchNorm2d \(module 'n'\): it is called twice",
    ),
    "a hook": (hooked(), r"module '2' \(Linear\) has hooks, which alignment cannot see into"),
    "tied weights": (tied(), "0.weight and 2.weight are one tied parameter"),
    "branch on data": (
        nn.Sequential(nn.Linear(4, 4), dense_pair(lambda s, x: s.b(x) if x.sum() > 0 else x)),
        r"cannot be traced in module '1' \(Custom\): symbolically traced variables .* no branches or loops on tensors",
    ),
    "grouped": (nn.Sequential(conv(), conv(4, 4, groups=2)), r"Conv2d \(module '1'\): it has groups=2"),
    "depthwise": (nn.Sequential(conv(2, 2, groups=2), conv()), r"Conv2d \(module '0'\): it has groups=2"),
    "layer norm": (nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), r"LayerNorm \(module '1'\): there is no rule"),
    "parametrized": (
        nn.Sequential(nn.Linear(4, 4), nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))),
        r"\(module '1'\): its weight is computed from other tensors",
    ),
    "no flatten": (
        nn.Sequential(conv(), nn.Linear(8, 3)),
        r"it reads rows \[B, C\] and is given an image of the 4 channels of '0'",
    ),
    "axis moved": (Custom(lambda s, x: s.b(s.a(x).permute(0, 2, 3, 1)), a=conv(), b=nn.Linear(4, 3)), "permute"),
    "odd view": (
        Custom(lambda s, x: s.b(s.a(x).view(x.size(0) * 4, -1)), a=conv(), b=nn.Linear(64, 3)),
        "view in the model",
    ),
    "part of an image": (
        Custom(lambda s, x: s.b(s.a(x).mean(1)), a=conv(), b=nn.Linear(8, 3)),
        r"it averages over the axes \[1\], not over all pixels",
    ),
    "broadcast": (
        dense_pair(lambda s, x: s.b(s.a(x) + s.c(x))),
        r"add in the model itself \(Custom\): it joins rows \[B, C\] of the 4 channels of 'a' with .* the 2 channels",
    ),
    "slice": (dense_pair(lambda s, x: s.b(s.a(x)[:, :4])), "getitem in the model itself"),
    "matrix product": (dense_pair(lambda s, x: s.a(x) @ x.T), "matmul in the model itself"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_followed_is_refused_by_name(name):
    model, says = REFUSED[name]
    with pytest.raises(UsageError, match=says):
        trace_spaces(model)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_wrapped_model_has_the_same_spaces(name):
    model = NETWORKS[name][0]()
    assert trace_spaces(nn.DataParallel(model)) == trace_spaces(model)


class Counting(nn.Module):
    """A network that writes to a buffer and draws a random number."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls.add_(1)
        return self.b(self.a(x) + torch.rand(()))


def test_tracing_writes_to_no_buffer_and_draws_from_no_state():
    model, state = Counting().train(), torch.get_rng_state()
    trace_spaces(model)
    assert model.calls == 0
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
