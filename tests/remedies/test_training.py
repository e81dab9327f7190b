"""Every remedy in real trainings: it learns, goes on to the same bits, and is part of what a run is."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch import nn

from cases import deep, examples, same_bits, scrambled, toy
from sharpmin.data import Examples, synthetic
from sharpmin.errors import UsageError
from sharpmin.remedies import SAM, Augmentation, Conservative, GhostBatchNorm, GrowingBatch, Robust, WarmUp
from sharpmin.remedies.augmentation import draw, move
from sharpmin.train_config import REMEDIES, TrainConfig, check
from sharpmin.training import train
from sharpmin.zoo import build, dense_block

EACH = {
    "augmentation": Augmentation(flip=False, rotation=5, shift=0.05),
    "conservative": Conservative(iterations=2),
    "robust": Robust(epsilon=0.1),
    "sam": SAM(),
    "ghost_batch_norm": GhostBatchNorm(size=6),
    "warm_up": WarmUp(epochs=2, reference=4),
    "growing_batch": GrowingBatch(start=4, factor=2, every=2),
}
TOGETHER = {name: remedy for name, remedy in EACH.items() if name != "growing_batch"}
CASES = [*({name: remedy} for name, remedy in EACH.items()), TOGETHER]
IDS = [*EACH, "together"]


def test_every_remedy_is_here():
    assert EACH.keys() == REMEDIES.keys()


def network():
    return deep(dtype=torch.float32), examples(30, 2, 7, 7, dtype=torch.float32)


@pytest.mark.parametrize("remedies", CASES, ids=IDS)
def test_resuming_after_any_epoch_gives_the_bits_of_one_run(remedies):
    config, kept = TrainConfig(batch_size=12, epochs=3, learning_rate=0.01, **remedies), []
    model, data = network()
    whole = train(model, data, config, after_epoch=kept.append)
    assert not same_bits(whole.weights, train(network()[0], data, TrainConfig(12, 3, 0.01)).weights)
    for half in kept[:2]:
        torch.manual_seed(99)  # another process would have other random numbers
        resumed = train(network()[0], data, config, state=half)
        assert same_bits(whole.weights, resumed.weights)
        assert same_bits(whole.moments, resumed.moments)
        assert [line.train_loss for line in whole.history] == [line.train_loss for line in resumed.history]


@pytest.mark.parametrize("remedies", CASES, ids=IDS)
def test_the_loss_falls(remedies):
    split = synthetic(train=90, test=60, shape=(1, 8, 8), classes=3)
    model = scrambled(nn.Sequential(nn.Flatten(), *dense_block(64, 16), nn.Linear(16, 3)), torch.float32)
    config = TrainConfig(batch_size=15, epochs=4, learning_rate=0.02, **remedies)
    lines = train(model, split.train, config, test=split.test).history
    assert lines[-1].train_loss < 0.5 * lines[0].train_loss
    assert lines[-1].test_accuracy > lines[0].test_accuracy


@pytest.mark.parametrize("remedies", CASES, ids=IDS)
def test_the_settings_name_it_and_give_it_back(remedies):
    config = TrainConfig(**remedies)
    kept = json.loads(json.dumps(config.settings()))
    assert set(kept) - set(TrainConfig().settings()) == set(remedies)
    assert TrainConfig.of(kept) == config
    assert hash(config) == hash(TrainConfig.of(kept))
    assert TrainConfig.of(json.loads(json.dumps(asdict(config)))) == config  # as the JSON of a figure has it


def test_images_are_moved_by_their_own_draws_whatever_the_batch():
    seen = {}

    class Recording(nn.Linear):
        def forward(self, x):
            seen.update({int(image[0, 0, 0] * 0 + image.max()): image for image in x.detach()})
            return super().forward(x.flatten(1))

    images = torch.rand(12, 1, 4, 4)
    images[:, 0] = images[:, 0] / 2 + torch.arange(12)[:, None, None]  # each is known by its brightness
    data, augmentation = Examples(images, torch.arange(12) % 2), Augmentation(shift=0.5)
    train(Recording(16, 2), data, TrainConfig(batch_size=5, epochs=1, seed=3, augmentation=augmentation))
    expected = move(images, draw(augmentation, 12, seed=3, epoch=1))
    for number in range(12):
        np.testing.assert_allclose(seen[number], expected[number], rtol=1e-5)


def test_a_remedy_changes_neither_the_shuffle_nor_the_dropout():
    whole = TrainConfig(batch_size=12, epochs=2, ghost_batch_norm=GhostBatchNorm(size=12))
    model, data = network()
    assert same_bits(train(model, data, whole).weights, train(network()[0], data, TrainConfig(12, 2)).weights)


@pytest.mark.parametrize("remedies", CASES, ids=IDS)
def test_in_bfloat16_the_weights_stay_finite_and_float32(remedies):
    model, data = network()
    state = train(model, data, TrainConfig(batch_size=12, epochs=1, precision="bfloat16", **remedies))
    assert all(w.dtype == torch.float32 and w.isfinite().all() for w in state.weights.values())


def test_the_callers_random_state_is_left_alone():
    model, data = network()
    before = torch.get_rng_state()
    train(model, data, TrainConfig(batch_size=12, epochs=1, **TOGETHER))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"augmentation": Augmentation()}, "augmentation moves images .* an input here is .6.: train without it"),
        ({"growing_batch": GrowingBatch(start=17)}, "first batch 17: a growing batch starts below the batch size 16"),
        ({"growing_batch": GrowingBatch(start=2), "warm_up": WarmUp()}, "choose one of them"),
    ],
)
def test_remedies_that_do_not_go_with_the_data_or_each_other(settings, says):
    config = TrainConfig(batch_size=16, **settings)
    with pytest.raises(UsageError, match=says):
        check(config, examples=50, shape=(6,))
    with pytest.raises(UsageError, match=says):
        train(build("F1", seed=0, shape=(6,), classes=3), toy().train, config)
