"""Learning rates and batch sizes by their formulas, and as a training meets them."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from sharpmin.data import Examples
from sharpmin.errors import UsageError
from sharpmin.remedies import GrowingBatch, WarmUp
from sharpmin.remedies.growing import grown
from sharpmin.remedies.warm_up import warmed_up
from sharpmin.train_config import TrainConfig
from sharpmin.training import train

DATA = Examples(torch.arange(40.0)[:, None] / 40, torch.arange(40) % 2)


def test_the_rate_grows_by_the_same_amount_at_each_step_to_k_times_the_first():
    rates = [warmed_up(0.1, t, WarmUp(epochs=2, reference=64), batch_size=512, steps=5) for t in range(13)]
    assert rates[:11] == pytest.approx([0.1 + t * 0.7 / 10 for t in range(11)], rel=1e-15)
    assert rates[10:] == [rates[10]] * 3


@pytest.mark.parametrize(("epochs", "batch_size", "first"), [(0, 512, 0.8), (3, 64, 0.1), (3, 32, 0.1)])
def test_without_warm_up_the_rate_is_scaled_at_once_and_below_the_reference_it_falls(epochs, batch_size, first):
    warm_up = WarmUp(epochs=epochs, reference=64)
    assert warmed_up(0.1, 0, warm_up, batch_size=batch_size, steps=5) == pytest.approx(first)
    assert warmed_up(0.1, 99, warm_up, batch_size=batch_size, steps=5) == pytest.approx(0.1 * batch_size / 64)


def test_a_training_takes_its_steps_at_these_rates():
    """Plain descent on a bias moves by the learning rate times the gradient, and that has a closed form."""
    model = nn.Linear(1, 2)
    nn.init.zeros_(model.weight).requires_grad_(False)
    nn.init.zeros_(model.bias)
    biases = [torch.zeros(2)]
    config = TrainConfig(batch_size=20, epochs=2, learning_rate=0.1, optimizer="sgd", warm_up=WarmUp(1, reference=5))
    data = Examples(DATA.inputs, torch.zeros(40, dtype=torch.int64))
    train(model, data, config, after_step=lambda _: biases.append(model.bias.detach().clone()))
    moved = [float((after - before)[0] / before.softmax(0)[1]) for before, after in pairwise(biases)]
    assert moved == pytest.approx([0.1, 0.25, 0.4, 0.4], rel=1e-5)  # 4 times the reference, over 2 steps


@pytest.mark.parametrize(
    ("growing", "batch_size", "sizes"),
    [
        (GrowingBatch(256, 5, every=5), 5000, [256] * 5 + [1280] * 5 + [5000] * 4),
        (GrowingBatch(10, 1.5, every=1), 40, [10, 15, 22, 33, 40, 40]),
        (GrowingBatch(40, 2, every=1), 40, [40, 40]),
    ],
)
def test_the_batch_is_multiplied_stage_by_stage_up_to_the_full_one(growing, batch_size, sizes):
    assert [grown(epoch, growing, batch_size=batch_size) for epoch in range(1, len(sizes) + 1)] == sizes
    assert grown(10**9, growing, batch_size=batch_size) == batch_size


def test_a_training_takes_these_batches_and_counts_its_steps():
    seen, steps, told = [], [], []

    class Recording(nn.Linear):
        def forward(self, x):
            seen.append(len(x))
            return super().forward(x)

    config = TrainConfig(batch_size=40, epochs=4, growing_batch=GrowingBatch(start=10, factor=2, every=1))
    train(
        Recording(1, 2), DATA, config, after_step=steps.append, progress=lambda _, done, total, **__: told.append(done)
    )
    assert seen == [10, 10, 10, 10, 20, 20, 40, 40]
    assert steps == [1, 2, 3, 4, 5, 6, 7, 8]
    assert told[-1] == 160
    assert config.steps_until(4, examples=40) == 8


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: WarmUp(epochs=-1), "take 0 or more"),
        (lambda: WarmUp(reference=0), "at least 1"),
        (lambda: GrowingBatch(start=0), "at least 1"),
        (lambda: GrowingBatch(factor=1), "above 1"),
        (lambda: GrowingBatch(every=0), "at least 1"),
    ],
)
def test_numbers_that_are_no_schedule(made, says):
    with pytest.raises(UsageError, match=says):
        made()
