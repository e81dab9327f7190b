"""Training a curve: its gradient against differences, its optimum against SciPy's, and resuming to the same bits."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn

from cases import F64, bowl, examples, half_square, random, same_bits, scrambled
from sharpmin.batchnorm import FLAGS
from sharpmin.errors import DivergedError, UsageError
from sharpmin.landscape import connecting
from sharpmin.landscape.connecting import connect, decay, train_curve
from sharpmin.landscape.curves import CurveConfig, point, straight
from sharpmin.objective import Objective


class Ring(nn.Module):
    """(|w|^2 - 1)^2 for every example: two minima on a circle of minima, and a hill between them."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2, dtype=F64))

    def forward(self, x):
        return ((self.w @ self.w - 1) ** 2).expand(len(x))


RING = Objective(Ring(), examples(16, 1), loss=lambda model, batch: model(batch[0]))
WEST, EAST = torch.tensor([-1.0, 0.0], dtype=F64), torch.tensor([0.6, 0.8], dtype=F64)
ROUND = CurveConfig(epochs=30, batch_size=1, learning_rate=0.05)


def mean_loss(kind, bend):
    """The integral of f(phi(t)) on a fine grid, in numpy."""
    t = np.linspace(0, 1, 2001)[:, None]
    a, b = WEST.numpy(), EAST.numpy()
    if kind == "bezier":
        w = (1 - t) ** 2 * a + 2 * t * (1 - t) * bend + t**2 * b
    else:
        w = np.where(t <= 0.5, 2 * (t * bend + (0.5 - t) * a), 2 * ((t - 0.5) * b + (1 - t) * bend))
    return np.trapezoid(((w**2).sum(1) - 1) ** 2, t[:, 0])


@pytest.mark.parametrize("kind", ["bezier", "polygon"])
def test_the_curve_goes_round_a_hill_as_low_as_such_a_curve_can(kind):
    found = connect(RING, WEST, EAST, replace(ROUND, kind=kind), points=41)
    assert found.line_barrier.height == pytest.approx(0.8**2, rel=1e-12)  # |w|^2 is 0.2 in the middle
    best = minimize(lambda bend: mean_loss(kind, bend), found.bends[0].numpy() * 1.1, tol=1e-10)
    assert mean_loss(kind, found.bends[0].numpy()) == pytest.approx(best.fun, rel=0.05)
    np.testing.assert_allclose(found.bends[0], best.x, atol=0.15)  # it is flat around the best bend
    assert found.barrier.height < 0.1
    assert found.training_losses[-1] < found.training_losses[0] / 2
    assert (found.losses[0], found.losses[-1]) == (RING.value(WEST), RING.value(EAST))


def test_the_ends_stay_as_they_are():
    a, b = WEST.clone(), EAST.clone()
    connect(RING, a, b, replace(ROUND, epochs=2))
    assert torch.equal(a, WEST)
    assert torch.equal(b, EAST)


@pytest.mark.parametrize("kind", ["bezier", "polygon"])
@pytest.mark.parametrize("bends", [1, 3])
def test_a_step_follows_the_gradient_with_respect_to_the_bends_alone(kind, bends, monkeypatch):
    t, rate, h = 0.3, 1e-3, 1e-5
    monkeypatch.setattr(connecting, "uniform", lambda *, seed: iter([t]))
    config = CurveConfig(kind=kind, bends=bends, epochs=1, batch_size=16, solver="sgd", learning_rate=rate)
    start = straight(WEST, EAST, bends=bends)

    def loss(moved):
        return RING.value(point(kind, WEST, moved, EAST, t))

    by_differences = torch.zeros_like(start)
    for index in np.ndindex(*start.shape):
        step = torch.zeros_like(start)
        step[index] = h
        by_differences[index] = (loss(start + step) - loss(start - step)) / (2 * h)
    found = train_curve(RING, WEST, EAST, config)
    np.testing.assert_allclose((start - found.bends) / rate, by_differences, rtol=1e-6, atol=1e-9)
    assert found.losses == (pytest.approx(loss(start)),)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_interrupted_after_any_epoch_it_goes_on_to_the_same_bits(solver):
    problem = bowl(3)
    f = Objective(problem.model, problem.data, loss=half_square)
    a, b, config = random(3, seed=1), random(3, seed=2), CurveConfig(epochs=4, batch_size=2, solver=solver, bends=2)
    states = []
    whole = train_curve(f, a, b, config, after_epoch=states.append)
    assert [state.epochs for state in states] == [1, 2, 3, 4]
    for state in states:
        again = train_curve(f, a, b, config, state=state)
        assert torch.equal(again.bends, whole.bends)
        assert same_bits(again.moments, whole.moments)
        assert again.losses == whole.losses
    other = train_curve(f, a, b, replace(config, seed=1))
    assert not torch.equal(other.bends, whole.bends)


def test_every_example_is_seen_once_an_epoch_in_batches_as_equal_as_can_be():
    seen = []

    def loss(model, batch):
        seen.append(batch[0].clone())
        return half_square(model, batch)

    data = examples(23, 3)
    f = Objective(bowl(3).model, data, loss=loss)
    train_curve(f, random(3, seed=1), random(3, seed=2), CurveConfig(epochs=2, batch_size=8))
    assert [len(batch) for batch in seen] == [8, 8, 7] * 2
    first, second = torch.cat(seen[:3]), torch.cat(seen[3:])
    for order in (first, second):
        assert sorted(order.tolist()) == sorted(data.inputs.tolist())
    assert not torch.equal(first, second)


def test_batches_of_ones_own_and_a_loader_that_shuffles():
    problem = bowl(3)
    pairs = torch.utils.data.TensorDataset(problem.data.inputs, problem.data.targets)
    loader = torch.utils.data.DataLoader(pairs, batch_size=3, shuffle=True)
    f = Objective(problem.model, loader, loss=half_square)
    state = torch.get_rng_state()
    one, two = (train_curve(f, random(3, seed=1), random(3, seed=2), CurveConfig(epochs=2)) for _ in range(2))
    assert torch.equal(one.bends, two.bends)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("policy", ["batch", "recalibrate"])
def test_batchnorm_normalises_with_the_batch_of_training_and_statistics_stay(policy):
    model = scrambled(nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)), F64).eval()
    buffers = {name: tensor.clone() for name, tensor in model.named_buffers()}
    flags = [[getattr(m, flag, None) for flag in FLAGS] for m in model.modules()]
    f = Objective(model, examples(24, 4), batch_norm=policy)
    config = CurveConfig(epochs=2, batch_size=8)
    found = connect(f, f.theta, f.theta.flip(0), config, points=3)
    by_batch = Objective(model, examples(24, 4), batch_norm="batch")
    assert torch.equal(found.bends, train_curve(by_batch, f.theta, f.theta.flip(0), config).bends)
    assert found.losses[0] == f.value(f.theta)
    assert same_bits(buffers, dict(model.named_buffers()))
    assert flags == [[getattr(m, flag, None) for flag in FLAGS] for m in model.modules()]


def test_a_loss_that_is_not_finite_stops_it_with_the_last_good_state():
    states, config = [], replace(ROUND, solver="sgd", learning_rate=1e80, batch_size=16, epochs=4)
    with pytest.raises(DivergedError, match=r"at t = .* the state after epoch 1 is kept: lower the learning rate"):
        train_curve(RING, WEST, EAST, config, after_epoch=states.append)
    assert len(states) == 1


def test_the_learning_rate_falls_as_in_the_papers_code():
    assert [decay(done) for done in (0, 0.5, 0.9, 0.99)] == [1, 1, pytest.approx(0.01), 0.01]
    assert np.all(np.diff([decay(done) for done in np.linspace(0.5, 0.9, 9)]) < 0)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"kind": "spline"}, "unknown curve 'spline': choose one of bezier, polygon"),
        ({"solver": "lion"}, "unknown solver 'lion': choose one of adam, sgd"),
        ({"bends": 0}, "bends is 0"),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"learning_rate": float("inf")}, "learning_rate is inf"),
        ({"learning_rate": 0.0}, r"learning_rate is 0\.0"),
    ],
)
def test_settings_that_train_nothing_are_refused(settings, says):
    with pytest.raises(UsageError, match=says):
        connect(RING, WEST, EAST, CurveConfig(**settings))


def test_ends_of_different_sizes_are_refused():
    with pytest.raises(UsageError, match="differ in size: 2 and 1"):
        connect(RING, WEST, EAST[:1])
