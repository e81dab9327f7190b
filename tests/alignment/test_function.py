"""On data an alignment that would give another function is refused, and one that keeps it is not, whatever its loss."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from alignment.networks import NETWORKS, copied, ready, shuffles
from cases import F64, examples, random
from sharpmin.alignment import align, permuted, trace_spaces
from sharpmin.errors import UsageError
from sharpmin.objective import Objective


class PerToken(nn.Module):
    """A layer between two Linear ones, on [B, C] or on [B, T, C]."""

    def __init__(self, between):
        super().__init__()
        self.a, self.between, self.b = nn.Linear(4, 8), between, nn.Linear(8, 3)

    def hidden(self, x):
        return torch.relu(self.between(self.a(x)))

    def forward(self, x):
        return self.b(self.hidden(x))


def per_example(model, batch):
    logits = model(batch[0])
    return F.cross_entropy(logits.mean(1) if logits.dim() == 3 else logits, batch[1], reduction="none")


def a_permuted_copy(model):
    a, spaces = copied(model), trace_spaces(model)
    return a, permuted(a, spaces, shuffles(spaces))


BETWEEN = {"BatchNorm1d": lambda: nn.BatchNorm1d(8), "PReLU": lambda: nn.PReLU(8)}


@pytest.mark.parametrize("policy", ["running", "batch"])
@pytest.mark.parametrize("name", BETWEEN)
def test_a_linear_layer_on_tokens_whose_second_axis_looks_like_the_channels(name, policy):
    model = ready(PerToken(BETWEEN[name]()))
    a, b = a_permuted_copy(model)
    rows, tokens = (
        Objective(model, examples(20, *shape), loss=per_example, batch_norm=policy) for shape in ((4,), (8, 4))
    )
    align(model, a, b, objective=rows)
    with pytest.raises(UsageError, match=r"BatchNorm1d or PReLU given \[B, T, C\]"):
        align(model, a, b, objective=tokens)


def test_a_loss_that_reads_hidden_units():
    model = ready(PerToken(nn.Identity()))
    a, b = a_permuted_copy(model)
    f = Objective(model, examples(20, 4), loss=lambda model, batch: model.hidden(batch[0])[:, 0])
    with pytest.raises(UsageError, match="does the loss read more than what forward returns"):
        align(model, a, b, objective=f)


@pytest.mark.parametrize("tokens", [8, 5])
def test_linear_layers_on_tokens_are_aligned(tokens):
    model = ready(PerToken(nn.Tanh()))
    a, b = a_permuted_copy(model)
    found = align(model, a, b, objective=Objective(model, examples(20, tokens, 4), loss=per_example))
    assert found.moved > 0


@pytest.mark.parametrize("dtype", [F64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("policy", ["running", "recalibrate"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_function_is_the_same_and_that_is_seen_in_every_dtype(name, dtype, policy):
    make, shape = NETWORKS[name]
    model = make().to(dtype)
    a, b = copied(model), {n: t.roll(1, 0) if t.dim() else t for n, t in model.state_dict().items()}
    data = examples(20, *shape, dtype=dtype)
    found = align(model, a, b, objective=Objective(model, data, batch_norm=policy))
    assert found.moved > 0
    if dtype == F64:
        model.load_state_dict(b)
        before = model(data.inputs)
        model.load_state_dict(found.state)
        torch.testing.assert_close(model(data.inputs), before, rtol=1e-12, atol=1e-12)


def test_a_loss_of_nothing_but_rounding_is_no_other_function():
    model = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
    a, b = a_permuted_copy(model)
    x = random(20, 4).float()
    model.load_state_dict(b)
    fitted = [(x, model(x).detach())]
    f = Objective(model, fitted, loss=lambda model, batch: (model(batch[0]) - batch[1]).square().sum(1))
    model.load_state_dict(align(model, a, b, objective=f).state)
    assert 0 < f.value(f.theta) < 1e-10


def test_a_network_that_was_not_moved_is_tested_in_a_random_order():
    model = ready(PerToken(nn.PReLU(8)))
    with pytest.raises(UsageError, match="in one order of the units"):
        align(model, copied(model), copied(model), objective=Objective(model, examples(20, 8, 4), loss=per_example))
