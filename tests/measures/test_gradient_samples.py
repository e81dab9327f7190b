"""Which examples are drawn, and their gradients against numpy."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cases import F64, deep, examples, same_bits, softmax_regression
from sharpmin.data import Examples
from sharpmin.measures.gradient_samples import draw, example_gradients, vectorises
from sharpmin.objective import Objective

DEFAULTS = {"unit": "auto", "batch_size": None, "max_batches": None, "seed": 0}


def drawn(f, **options):
    return draw(f, f.theta, **{**DEFAULTS, **options})


def gradients(rows):
    return torch.cat([row.gradients for row in rows]).numpy()


def softmax_gradients(problem, theta):
    """(p - onehot) x^T and p - onehot of each example, by numpy."""
    x, w = problem.data.inputs.numpy(), theta.numpy()
    p = np.exp(x @ w[:12].reshape(3, 4).T + w[12:])
    wrong = p / p.sum(1, keepdims=True) - np.eye(3)[problem.data.targets.numpy()]
    return np.concatenate([(wrong[:, :, None] * x[:, None, :]).reshape(len(x), 12), wrong], 1)


@pytest.mark.parametrize("unit", ["examples", "batches"])
def test_gradients_of_single_examples_by_numpy(unit):
    problem = softmax_regression()
    f = Objective(problem.model, problem.data, batch_size=7)
    sample = drawn(f, unit=unit, batch_size=None if unit == "examples" else 1)
    assert sample.vectorised == (unit == "examples")
    order = torch.randperm(23, generator=torch.Generator().manual_seed(0))
    by_hand = softmax_gradients(problem, f.theta)[order.numpy()]
    np.testing.assert_allclose(gradients(sample.units()), by_hand, rtol=1e-12, atol=1e-14)


def test_a_pass_meets_every_example_once_and_the_same_ones_again():
    f = Objective(nn.Linear(4, 3, dtype=F64), examples(23, 4))
    sample = drawn(f, unit="batches", batch_size=5)
    batches = [tuple(part.clone() for part in batch) for batch in sample.objective.batches()]
    assert [len(x) for x, _ in batches] == [5, 5, 5, 5, 3]
    seen = torch.cat([x for x, _ in batches])
    assert not torch.equal(seen, f.data.inputs)
    places = [int((f.data.inputs == x).all(1).nonzero()) for x in seen]
    assert sorted(places) == list(range(23))
    assert torch.equal(torch.cat([y for _, y in batches]), f.data.targets[places])
    assert all(torch.equal(a[0], b[0]) for a, b in zip(batches, sample.objective.batches(), strict=True))


@pytest.mark.parametrize(
    ("options", "sizes", "share"),
    [
        ({"batch_size": 5, "max_batches": 3}, [5, 5, 5], 15 / 23),
        ({"batch_size": 5, "max_batches": 9}, [5, 5, 5, 5, 3], 1),
        ({"unit": "examples", "max_batches": 4}, [1] * 4, 4 / 23),
        ({"unit": "examples"}, [1] * 23, 1),
        ({"unit": "batches"}, [1] * 23, 1),
    ],
)
def test_what_is_drawn(options, sizes, share):
    sample = drawn(Objective(nn.Linear(4, 3, dtype=F64), examples(23, 4), batch_size=10), **options)
    assert [size for row in sample.units() for size in row.sizes] == sizes
    assert sample.share == share


def test_at_least_a_hundred_batches_by_default():
    f = Objective(nn.Linear(4, 3, dtype=F64), examples(730, 4))
    assert drawn(f, unit="batches").objective.batch_size == 7
    assert drawn(Objective(f.model, f.data, batch_size=3), unit="batches").objective.batch_size == 3


def norm(policy="running", *, track=True, **options):
    model = nn.Sequential(nn.BatchNorm1d(4, dtype=F64, track_running_stats=track), nn.Linear(4, 3, dtype=F64))
    return Objective(model, examples(23, 4), batch_norm=policy, **options)


def test_mixed_batches_are_of_one_size_and_by_default_the_objectives():
    assert [row.sizes for row in drawn(norm("batch", batch_size=5)).units()] == [[5]] * 4
    parts = (norm().data.inputs.split([5, 3, 5, 10]), norm().data.targets.split([5, 3, 5, 10]))
    loader = list(zip(*parts, strict=True))
    f = Objective(norm().model, loader, batch_norm="batch")
    assert [row.sizes for row in drawn(f).units()] == [[5], [5]]
    running = Objective(norm().model, loader, batch_norm="running")
    assert [row.sizes for row in drawn(running).units()] == [[5], [3], [5], [10]]


def test_running_statistics_leave_an_example_its_own_gradient():
    f = norm()
    f.model[0].running_mean.fill_(0.3)
    assert drawn(f).vectorised
    one_by_one = gradients(drawn(f, unit="batches", batch_size=1).units())
    np.testing.assert_allclose(gradients(drawn(f).units()), one_by_one, rtol=1e-12, atol=1e-14)


class Branching(nn.Module):
    """Decides by the numbers, which `vmap` cannot follow."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3, dtype=F64)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.linear(row) if row.sum() > 0 else self.linear(-row) for row in x])


def test_what_vmap_cannot_take_goes_one_at_a_time():
    f = Objective(Branching(), examples(23, 4))
    assert not vectorises(f, f.theta)
    assert drawn(f).unit == "batches"
    sample = drawn(f, unit="examples")
    assert (sample.unit, sample.vectorised) == ("examples", False)
    flipped = Examples(f.data.inputs * f.data.inputs.sum(1, keepdim=True).sign(), f.data.targets)
    plain = Objective(f.model.linear, flipped)
    np.testing.assert_allclose(gradients(sample.units()), gradients(drawn(plain).units()), rtol=1e-12, atol=1e-14)


def test_many_weights_are_taken_batch_by_batch():
    f = Objective(nn.Linear(4000, 1000), Examples(torch.zeros(100, 4000), torch.zeros(100, dtype=torch.int64)))
    assert drawn(f).unit == "batches"


def test_a_recurrent_network_takes_the_loop_without_a_warning():
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.linear = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(self.lstm(x)[0][:, -1])

    f = Objective(Last(), examples(9, 6, 4, dtype=torch.float32))
    one_by_one = gradients(drawn(f, unit="batches", batch_size=1).units())
    np.testing.assert_allclose(gradients(drawn(f, unit="examples").units()), one_by_one, rtol=1e-4, atol=1e-6)


def test_frozen_and_tied_weights():
    model = nn.Sequential(nn.Linear(4, 4, dtype=F64), nn.Linear(4, 4, dtype=F64))
    model[1].weight = model[0].weight
    f = Objective(model, examples(9, 4), parameters=["0.weight", "1.bias"])
    found = gradients(drawn(f).units())
    assert found.shape == (9, 20)
    np.testing.assert_allclose(found.mean(0), f.value_and_grad(f.theta)[1].numpy(), rtol=1e-12, atol=1e-14)


class Restless(nn.Module):
    """Draws noise, counts its calls in a buffer, and fails when told to."""

    def __init__(self, fails: bool) -> None:
        super().__init__()
        self.layer, self.norm, self.fails = nn.Linear(4, 3), nn.BatchNorm1d(3), fails
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.fails:
            raise ArithmeticError
        return self.norm(self.layer(x)) + torch.randn(3)


@pytest.mark.parametrize("fails", [False, True])
def test_weights_buffers_modes_and_random_state_come_back(fails):
    model = Restless(fails)
    model.norm.eval()
    before, state = {k: t.clone() for k, t in model.state_dict().items()}, torch.get_rng_state()
    f = Objective(model, examples(10, 4, dtype=torch.float32))
    try:
        assert not vectorises(f, f.theta)  # random numbers
        list(drawn(f, unit="examples").units())
    except ArithmeticError:
        assert fails
    assert same_bits(before, model.state_dict())
    assert [m.training for m in model.modules()] == [True, True, False]
    assert torch.equal(torch.get_rng_state(), state)


def test_batches_of_a_network_of_the_paper():
    """Computed in blocks from shuffled tensors, and as plain batches of an iterable."""
    model = deep()
    f = Objective(model, examples(12, 2, 7, 7), batch_size=4)
    before = {k: t.clone() for k, t in model.state_dict().items()}
    sample = drawn(f)
    assert sample.unit == "batches"
    by_hand = Objective(model, list(sample.objective.batches())).value_and_grad(f.theta)[1]
    np.testing.assert_allclose(gradients(sample.units()).sum(0) / 12, by_hand.numpy(), rtol=1e-10, atol=1e-14)
    assert same_bits(before, model.state_dict())


def test_example_gradients_of_a_loss_that_counts():
    """A loss that returns (sum, count): the sizes are its counts."""
    data = examples(6, 5, 4)

    def by_step(model, batch):
        return model(batch[0]).square().sum(), batch[0].shape[0] * 5

    f = Objective(nn.Linear(4, 1, dtype=F64), data, loss=by_step)
    rows = list(example_gradients(f, f.theta))
    assert rows[0].sizes == [5] * 6
    assert sum(rows[0].losses) == pytest.approx(30 * f.value(f.theta), rel=1e-12)
