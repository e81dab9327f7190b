"""Random directions: what length they have where, and that nothing but the seed decides them."""

import numpy as np
import pytest
import torch
from torch import nn

from cases import examples, scrambled
from sharpmin import Objective
from sharpmin.errors import UsageError
from sharpmin.landscape import random_directions

MODEL = scrambled(
    nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 4, 5), nn.LayerNorm(5)),
    torch.float64,
)
OBJECTIVE = Objective(MODEL, examples(4, 2, 4, 4), batch_norm="batch")
MATRICES = ("0.weight", "4.weight")


def directions(**options):
    return [OBJECTIVE.layout.unflatten(d) for d in random_directions(OBJECTIVE, OBJECTIVE.theta, **options)]


def test_every_filter_is_as_long_as_the_weights_own():
    for direction in directions(count=3):
        for name in MATRICES:
            weights = MODEL.state_dict()[name].numpy()
            for own, there in zip(direction[name].numpy(), weights, strict=True):
                np.testing.assert_allclose(np.sqrt((own**2).sum()), np.sqrt((there**2).sum()), rtol=1e-14)


def test_every_layer_is_as_long_as_the_weights_own():
    (direction,) = directions(count=1, normalisation="layer")
    for name in MATRICES:
        weights = MODEL.state_dict()[name].numpy()
        np.testing.assert_allclose(np.linalg.norm(direction[name]), np.linalg.norm(weights), rtol=1e-14)
        lengths = [np.linalg.norm(row) for row in direction[name].flatten(1).numpy()]
        assert not np.allclose(lengths, [np.linalg.norm(row) for row in weights.reshape(len(weights), -1)], rtol=1e-3)


@pytest.mark.parametrize("normalisation", ["filter", "layer"])
def test_biases_and_the_weights_of_normalisation_layers_stay_where_they_are(normalisation):
    for name, part in directions(count=1, normalisation=normalisation)[0].items():
        assert bool(part.any()) == (name in MATRICES)


@pytest.mark.parametrize("normalisation", ["filter", "layer", "none"])
@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (4, 0, 2)])
def test_a_tensor_without_elements_has_no_part_in_a_direction(normalisation, shape):
    model = nn.Linear(4, 3)
    model.empty = nn.Parameter(torch.zeros(shape))
    f = Objective(model, examples(4, 4, dtype=torch.float32))
    (direction,) = random_directions(f, f.theta, count=1, normalisation=normalisation)
    assert direction.shape == (4 * 3 + 3,)
    assert direction.isfinite().all()


def test_the_normalised_directions_are_the_gaussian_ones_rescaled():
    for rescaled, gaussian in zip(directions(), directions(normalisation="none"), strict=True):
        for name in MATRICES:
            ratio = (rescaled[name] / gaussian[name]).flatten(1)
            torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio), rtol=1e-12, atol=0)
            assert bool((ratio > 0).all())


def test_without_normalisation_they_are_standard_normal():
    theta = torch.zeros(OBJECTIVE.layout.size)
    drawn = torch.cat(list(random_directions(OBJECTIVE, theta, count=200, normalisation="none")))
    assert abs(float(drawn.mean())) < 0.02
    assert abs(float(drawn.std()) - 1) < 0.02


def test_a_filter_of_zeros_stays_one():
    theta = OBJECTIVE.theta
    OBJECTIVE.layout.unflatten(theta)["0.weight"][1] = 0
    part = OBJECTIVE.layout.unflatten(next(random_directions(OBJECTIVE, theta)))["0.weight"]
    assert [bool(own.any()) for own in part] == [True, False, True]


def test_the_seed_alone_decides_and_more_draws_begin_with_the_fewer():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = list(random_directions(OBJECTIVE, OBJECTIVE.theta, count=2, seed=7))
    more = list(random_directions(OBJECTIVE, OBJECTIVE.theta, count=4, seed=7))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one, other) for one, other in zip(first, more[:2], strict=True))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], next(random_directions(OBJECTIVE, OBJECTIVE.theta, seed=8)))


def test_a_network_initialised_from_the_same_seed_does_not_meet_its_own_numbers_again():
    torch.manual_seed(3)
    drawn = torch.randn(40, 50, dtype=torch.float64)
    model = nn.Linear(50, 40, bias=False, dtype=torch.float64)
    model.weight.data = drawn
    f = Objective(model, examples(4, 50))
    (direction,) = random_directions(f, f.theta, count=1, seed=3)
    assert abs(float(torch.corrcoef(torch.stack([direction, drawn.flatten()]))[0, 1])) < 0.1


def test_what_has_no_filters_is_refused():
    only = Objective(MODEL, examples(4, 2, 4, 4), batch_norm="batch", parameters=["0.bias", "1.weight"])
    for normalisation in ("filter", "layer"):
        with pytest.raises(UsageError, match=r'none of the weights makes a filter.*choose normalisation "none"'):
            random_directions(only, only.theta, normalisation=normalisation)
    assert next(random_directions(only, only.theta, normalisation="none")).any()
    with pytest.raises(UsageError, match="none of the weights makes a filter"):
        random_directions(OBJECTIVE, torch.zeros_like(OBJECTIVE.theta))
    with pytest.raises(UsageError, match="unknown normalisation 'weight': choose one of filter, layer, none"):
        random_directions(OBJECTIVE, OBJECTIVE.theta, normalisation="weight")
