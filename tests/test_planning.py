"""A forecast agrees with what it was made from."""

import pytest
import torch

from cases import same_bits
from sharpmin.errors import UsageError
from sharpmin.planning import forecast
from sharpmin.zoo import build

GIB = 2**30


@pytest.fixture(scope="module")
def model():
    return build("C1", seed=0, shape=(2, 16, 16), classes=3)


def planned(model, **given):
    return forecast(model, (2, 16, 16), 3, **{"batch_size": 2000, "examples": 4500, "seconds": 0.1, **given})


def test_the_parts_add_up_and_the_model_is_left_alone(model):
    before = {name: p.clone() for name, p in model.state_dict().items()}
    found = planned(model, memory=20 * GIB)
    weights = 4 * sum(p.numel() for p in model.parameters())
    assert found.data == 4500 * 2 * 16 * 16 * 4
    assert found.weights > 4 * weights
    assert set(found.keep) == {"all"}
    assert found.fits
    assert found.peak <= found.allowed == 20 * GIB
    assert found.steps == 3
    assert found.epoch.median == pytest.approx(found.step.median * 4500 / 2000)
    assert same_bits(before, model.state_dict())


def test_less_memory_is_kept_to_and_what_would_fit_does(model):
    plenty = planned(model, memory=20 * GIB)
    tight = planned(model, memory=plenty.peak - plenty.activations / 2)
    assert tight.fits
    assert set(tight.keep) - {"all"}
    little = planned(model, memory=plenty.peak - 0.95 * plenty.activations)
    assert not little.fits
    assert 0 < little.largest < 2000
    assert planned(model, memory=little.allowed + 20 * 2**20, batch_size=little.largest).fits


def test_without_a_limit_everything_fits(model, monkeypatch):
    monkeypatch.setattr("sharpmin.planning.available_memory", lambda: None)
    found = planned(model)
    assert (found.allowed, found.largest, found.fits, set(found.keep)) == (None, None, True, {"all"})


@pytest.mark.parametrize("given", [{"batch_size": 5000}, {"batch_size": 0}, {"memory": 0}])
def test_what_nobody_can_train_is_refused(model, given):
    with pytest.raises(UsageError):
        planned(model, **given)


def test_a_network_that_does_not_go_in_blocks():
    layers = torch.nn.Flatten(), torch.nn.Linear(512, 3)
    assert planned(torch.nn.Sequential(*layers)).keep == ("all",)


def test_the_weights_are_counted_once(model, monkeypatch):
    weights = 4 * sum(p.numel() for p in model.parameters())
    monkeypatch.setattr("sharpmin.planning.resident_memory", lambda: 10**9 + weights)  # the model is there already
    monkeypatch.setattr("sharpmin.planning.available_memory", lambda: 10**9)
    found = planned(model)
    assert (found.process, found.allowed) == (10**9, 10**9 + weights + 0.6 * 10**9)
    assert found.weights > 4 * weights
