"""Many thetas over one pass: what `measure` gives one by one, bit for bit, with each batch fetched once."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cases import bowl, examples, half_square, random, shallow
from live import LiveBytes
from sharpmin import Objective
from sharpmin.errors import UsageError

DATA = examples(23, 4, dtype=torch.float32)


def normed(*, dropout=False):
    """A network with running statistics of its own."""
    torch.manual_seed(0)
    layers = [nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), *([Noise()] if dropout else []), nn.Linear(6, 3)]
    return nn.Sequential(*layers)


class Noise(nn.Module):
    """Dropout that ignores the mode."""

    def forward(self, x):
        return F.dropout(x, 0.5, training=True)


class Counting:
    """Batches that count how often they are fetched, in an order drawn anew for each pass."""

    def __init__(self, wrap=lambda x, y: (x, y)):
        self.fetched, self.wrap = 0, wrap

    def __iter__(self):
        for picked in torch.randperm(23).split(5):
            self.fetched += 1
            yield self.wrap(DATA.inputs[picked] + 0.1 * torch.rand(len(picked), 4), DATA.targets[picked])


def some(f, count=7):
    return [f.theta + 0.3 * random(f.layout.size, seed=seed, dtype=f.theta.dtype) for seed in range(count)]


def one_by_one(f, thetas):
    return tuple(f.measure(theta) for theta in thetas)


@pytest.mark.parametrize("batch_norm", ["running", "batch", "recalibrate"])
@pytest.mark.parametrize("memory", [1, 3 * 8 * 63, 2**31])
@pytest.mark.parametrize("data", [DATA, Counting()])
def test_as_one_by_one_under_every_policy_and_budget(batch_norm, memory, data):
    f = Objective(normed(), data, batch_norm=batch_norm, batch_size=6)
    thetas = some(f)
    assert f.layout.size == 63
    found = f.measure_many(iter(thetas), memory=memory)
    assert found == one_by_one(f, thetas)
    assert len({measurement.loss for measurement in found}) == 7


def test_as_one_by_one_where_the_loss_and_the_loader_both_draw_random_numbers():
    f = Objective(normed(dropout=True), Counting(), batch_norm="running")
    thetas = some(f)
    assert f.measure_many(thetas) == one_by_one(f, thetas)
    assert f.measure_many([thetas[0]] * 3) == (f.measure(thetas[0]),) * 3


def test_as_one_by_one_computed_in_blocks():
    f = Objective(shallow(dtype=torch.float32), examples(300, 2, 8, 8, dtype=torch.float32), batch_size=150)
    thetas = some(f, 3)
    assert f.measure_many(thetas) == one_by_one(f, thetas)


def test_each_batch_is_fetched_once_a_group():
    data = Counting()
    f = Objective(normed(), data, batch_norm="running")
    f.measure_many(some(f))
    assert data.fetched == 5
    f.measure_many(some(f), memory=4 * 8 * 63)
    assert data.fetched == 5 + 10


def test_recalibration_reads_the_calibration_set_once_as_well():
    data = Counting()
    f = Objective(normed(), DATA, batch_norm="recalibrate", calibration=data)
    f.measure_many(some(f))
    assert data.fetched == 5


def test_each_theta_may_bring_buffers_of_its_own():
    f = Objective(normed(), DATA, batch_norm="running")
    thetas = some(f, 3)
    buffers = [{"1.running_mean": random(6, seed=seed, dtype=torch.float32)} for seed in range(3)]
    expected = tuple(f.with_buffers(own).measure(theta) for own, theta in zip(buffers, thetas, strict=True))
    assert f.measure_many(thetas, buffers=iter(buffers), memory=1) == expected
    assert len({measurement.loss for measurement in expected}) == 3
    other = f.with_buffers({"1.running_var": torch.full((6,), 4.0)})
    assert other.measure_many(thetas) == one_by_one(other, thetas) != one_by_one(f, thetas)


def test_unknown_buffers_are_refused():
    f = Objective(normed(), DATA, batch_norm="running")
    with pytest.raises(UsageError, match="no such buffers: mean"):
        f.measure_many([f.theta], buffers=[{"mean": torch.zeros(6)}])


@dataclass
class Batch:
    x: torch.Tensor
    y: torch.Tensor


class Own:
    """A library's own batch."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def to(self, device):
        return self


def popping(model, batch):
    return F.cross_entropy(model(batch.pop("x")), batch.pop("y"), reduction="none")


def overwriting(model, batch):
    inputs = batch[0].mul_(2) if isinstance(batch, list) else batch.x.mul_(2)
    return F.cross_entropy(model(inputs), batch[1] if isinstance(batch, list) else batch.y, reduction="none")


@pytest.mark.parametrize(
    ("wrap", "loss"),
    [
        (lambda x, y: {"x": x, "y": y}, popping),
        (lambda x, y: [x, y], overwriting),
        (Batch, overwriting),
        (Own, overwriting),
    ],
)
def test_a_loss_that_empties_or_overwrites_its_batch_spoils_it_for_no_other_theta(wrap, loss):
    f = Objective(normed(), Counting(wrap), loss=loss, batch_norm="running")
    thetas = some(f, 3)
    assert f.measure_many(thetas) == one_by_one(f, thetas)


def test_nan_at_one_theta_stays_there():
    f = Objective(normed(), DATA, batch_norm="running", batch_size=5)
    thetas = some(f, 3)
    thetas[1][0] = float("nan")
    found = f.measure_many(thetas)
    assert [measurement.non_finite for measurement in found] == [None, 0, None]
    assert (found[0], found[2]) == (f.measure(thetas[0]), f.measure(thetas[2]))


def test_no_thetas_give_no_measurements():
    f = Objective(normed(), DATA, batch_norm="recalibrate")
    assert f.measure_many([]) == ()


@pytest.mark.parametrize("held", [1, 3, 10])
def test_a_generator_of_many_thetas_holds_no_more_vectors_than_the_budget(held):
    n = 10_000
    problem = bowl(n, count=2)
    f = Objective(problem.model, problem.data, loss=half_square)
    theta = f.theta
    with LiveBytes(problem.model.w, theta, problem.data.inputs) as live:
        f.measure_many((theta + step for step in range(40)), memory=held * 8 * n)
    activations = 5  # of two examples of n inputs each: what the loss of this problem makes
    assert live.peak <= 8 * n * (held + 1 + activations)
    assert live.peak >= 8 * n * held
