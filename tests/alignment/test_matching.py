"""A planted permutation is found again, small problems are solved as brute force solves them, and the barrier goes."""

from itertools import permutations, product

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from alignment.networks import NETWORKS, copied, dense, shuffles
from cases import F64, examples, random, same_bits, scrambled
from sharpmin.alignment import align, permuted, trace_spaces
from sharpmin.errors import UsageError
from sharpmin.landscape import barrier
from sharpmin.objective import Objective


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("seed", range(3))
def test_a_planted_permutation_is_recovered_exactly(name, seed):
    model = NETWORKS[name][0]()
    a, spaces = copied(model), trace_spaces(model)
    planted = shuffles(spaces, seed=seed)
    b = permuted(a, spaces, planted)
    kept = {key: tensor.clone() for key, tensor in b.items()}
    found = align(model, a, b, seed=seed)
    assert same_bits(found.state, a)
    for space in spaces:
        assert torch.equal(planted[space.name][found.permutations[space.name]], torch.arange(space.size))
    assert found.converged
    assert found.moved > 0
    weights = [a[name] for name, _ in model.named_parameters()]
    counted = {slot.tensor for space in spaces for slot in space.slots}
    assert found.after == pytest.approx(sum(a[n].pow(2).sum().item() for n in counted if "running" not in n))
    assert found.before < found.after <= sum(w.pow(2).sum().item() for w in weights) * (1 + 1e-12)
    assert same_bits(b, kept)
    assert same_bits(a, model.state_dict())


def small(hidden):
    """ReLU layers of 4 units."""
    layers = [layer for _ in range(hidden) for layer in (nn.Linear(4, 4), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(4, 3)).double()


def unrelated(model, seed):
    return {name: random(*t.shape, seed=seed + i) for i, (name, t) in enumerate(model.state_dict().items())}


def likeness(spaces, a, b, orders):
    chosen = {space.name: torch.tensor(order) for space, order in zip(spaces, orders, strict=True)}
    moved = permuted(b, spaces, chosen)
    return sum((a[name] * moved[name]).sum().item() for name in {s.tensor for space in spaces for s in space.slots})


@pytest.mark.parametrize("seed", [0, 50, 100])
def test_one_layer_is_solved_exactly(seed):
    model = small(1)
    a, b, spaces = unrelated(model, seed), unrelated(model, seed + 1000), trace_spaces(model)
    found = align(model, a, b)
    best = max(likeness(spaces, a, b, [order]) for order in permutations(range(4)))
    assert found.after == pytest.approx(best, rel=1e-12)
    assert found.after == pytest.approx(likeness(spaces, a, b, [p.tolist() for p in found.permutations.values()]))
    assert found.before == pytest.approx(likeness(spaces, a, b, [range(4)]))


@pytest.mark.parametrize("seed", [0, 50, 100])
def test_two_layers_end_where_no_single_layer_improves(seed):
    model = small(2)
    a, b, spaces = unrelated(model, seed), unrelated(model, seed + 1000), trace_spaces(model)
    found = align(model, a, b)
    first, second = (p.tolist() for p in found.permutations.values())
    orders = list(permutations(range(4)))
    assert max(likeness(spaces, a, b, [order, second]) for order in orders) == pytest.approx(found.after, rel=1e-12)
    assert max(likeness(spaces, a, b, [first, order]) for order in orders) == pytest.approx(found.after, rel=1e-12)
    assert found.after <= max(likeness(spaces, a, b, pair) for pair in product(orders, orders)) + 1e-9


class Skip(nn.Module):
    """x + a layer of x: one permutation acts on both axes of a weight, and its problem is not linear."""

    def __init__(self):
        super().__init__()
        self.stem, self.layer, self.head = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x):
        h = self.stem(x)
        return self.head(h + torch.relu(self.layer(h)))


@pytest.mark.parametrize("seed", range(5))
def test_where_both_axes_follow_one_permutation_it_never_gets_worse(seed):
    model = Skip().double()
    a, b = unrelated(model, 10 * seed), unrelated(model, 10 * seed + 1000)
    found = align(model, a, b, seed=seed)
    assert found.after >= found.before
    assert found.converged
    assert found.after == pytest.approx(
        likeness(trace_spaces(model), a, b, [found.permutations["stem"].tolist()]), rel=1e-12
    )


def trained(data):
    """A small network that fits its data."""
    layers = (nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    model = nn.Sequential(*layers).double()
    for seed, parameter in enumerate(model.parameters()):
        parameter.data = random(*parameter.shape, seed=seed) / parameter.shape[-1] ** 0.5
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(model(data.inputs), data.targets).backward()
        optimizer.step()
    return model


@pytest.mark.parametrize("policy", ["running", "batch", "recalibrate"])
def test_the_barrier_to_a_permuted_copy_disappears(policy):
    data = examples(60, 4)
    model = trained(data)
    f = Objective(model, data, batch_norm=policy)
    a, spaces = copied(model), trace_spaces(model)

    def height(b):
        theta_b = f.layout.flatten(b)
        buffers = tuple({n: s[n] for n, _ in model.named_buffers()} for s in (a, b))
        return barrier(f, f.theta, theta_b, alphas=[0, 0.25, 0.5, 0.75, 1], buffers=buffers).height

    b = permuted(a, spaces, shuffles(spaces))
    assert height(b) > 0.2
    assert height(align(model, a, b).state) < 1e-14


def test_it_stops_at_the_limit_and_says_so():
    model = dense()
    a, spaces = copied(model), trace_spaces(model)
    told = []
    b = permuted(a, spaces, shuffles(spaces))
    found = align(model, a, b, max_passes=1, progress=lambda task, done, total, **_: told.append((task, done, total)))
    assert (found.passes, found.converged) == (1, False)
    assert told == [("align", 1, None)]


def test_the_dtype_of_b_is_kept_and_16_bits_are_matched():
    model = scrambled(small(2), torch.bfloat16)
    a, spaces = copied(model), trace_spaces(model)
    found = align(model, a, permuted(a, spaces, shuffles(spaces)))
    assert same_bits(found.state, a)
    assert {tensor.dtype for tensor in found.state.values()} == {torch.bfloat16}


def test_bad_input():
    model = small(1)
    state = copied(model)
    with pytest.raises(UsageError, match=r"0\.weight is missing"):
        align(model, state, {})
    with pytest.raises(UsageError, match=r"0\.bias has shape \[1\], not \[4\]"):
        align(model, {**state, "0.bias": torch.zeros(1, dtype=F64)}, state)
    with pytest.raises(UsageError, match=r"NaN or infinite numbers in 0\.bias"):
        align(model, state, {**state, "0.bias": torch.full((4,), torch.nan, dtype=F64)})
    with pytest.raises(UsageError, match="max_passes is 0"):
        align(model, state, state, max_passes=0)
    with pytest.raises(UsageError, match="no unit of this network can be permuted"):
        align(nn.Linear(3, 2), {}, {})
