"""A recorded step is the step: dropout, ragged batches and interruptions included, of dense layers to the bit."""

from dataclasses import replace

import pytest
import torch

from sharpmin import TrainConfig, train, zoo
from sharpmin.data import synthetic
from sharpmin.recorded import BEFORE, Recorded

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
CONFIG = TrainConfig(batch_size=16, epochs=2)  # six steps and a ragged one in each epoch


def trained(network, config, *, state=None):
    shape = {"F1": (6,), "C1": (3, 8, 8)}[network]
    model = zoo.build(network, seed=0, shape=shape, classes=4)
    return train(model, synthetic(train=100, test=1, shape=shape, classes=4).train, config, state=state, device="cuda")


def same_bits(one, other):
    pairs = [(one.weights, other.weights), (one.moments, other.moments)]
    return all(a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a) for a, b in pairs)


@pytest.fixture
def replays(monkeypatch):
    """One entry for each step replayed."""
    seen, replay = [], torch.cuda.CUDAGraph.replay
    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", lambda graph: seen.append(1) or replay(graph))
    return seen


@pytest.fixture(params=["float32", "bfloat16"])
def config(request):
    return replace(CONFIG, precision=request.param)


def recorded_and_not(network, config, monkeypatch, replays):
    """The states of a training with recorded steps and of one without."""
    states = [trained(network, config)]
    assert len(replays) == 2 * 6 - BEFORE
    monkeypatch.setattr("sharpmin.training.can_record", lambda *_, **__: False)
    states.append(trained(network, config))
    assert len(replays) == 2 * 6 - BEFORE
    return states


def test_of_dense_layers_they_end_in_the_same_bits(config, monkeypatch, replays):
    recorded, by_hand = recorded_and_not("F1", config, monkeypatch, replays)
    assert same_bits(recorded, by_hand)
    assert [line.train_loss for line in recorded.history] == [line.train_loss for line in by_hand.history]


def test_of_convolutions_they_differ_by_rounding_and_have_the_same_dropout(config, monkeypatch, replays):
    recorded, by_hand = recorded_and_not("C1", config, monkeypatch, replays)
    other = trained("C1", replace(config, seed=1))  # other masks, and another order
    losses, expected, others = ([line.train_loss for line in state.history] for state in (recorded, by_hand, other))
    assert losses == pytest.approx(expected, rel=2e-3 if config.precision == "float32" else 2e-2)
    assert abs(others[0] / expected[0] - 1) > 2e-2


def test_an_interrupted_training_goes_on_to_the_same_bits():
    half = trained("F1", replace(CONFIG, epochs=1))
    assert same_bits(trained("F1", CONFIG, state=half), trained("F1", CONFIG))


def test_a_batch_of_another_size_is_not_replayed(replays):
    step = Recorded(lambda picked, views=None: (picked.sum() * 2, picked.amax()), size=3)
    for first in range(6):
        double, largest = step(torch.arange(first, first + 3, device="cuda"))
        assert (int(double), int(largest)) == (6 * first + 6, first + 2)
    assert len(replays) == 6 - BEFORE
    assert int(step(torch.arange(5, device="cuda"))[0]) == 20
    assert len(replays) == 6 - BEFORE
