"""A line through steps at two sizes, on steps whose time is known."""

import pytest
import torch

from sharpmin.blocked import Blocked
from sharpmin.timing import Timed, TrainingStep, summary, timed
from sharpmin.zoo import build


class Clockwork:
    """A step that takes 0.2 s, and 0.01 s for every example, and keeps a record."""

    def __init__(self, noise=0.0):
        self.sizes, self.noise = [], noise

    def seconds(self, examples):
        self.sizes.append(examples)
        return 0.2 + 0.01 * examples + self.noise * (len(self.sizes) % 3)


def test_a_straight_line_is_continued_exactly():
    found = timed(Clockwork(), most=5000, budget=6)
    assert found.predicted(5000).median == pytest.approx(0.2 + 50)
    assert found.predicted(1).median == pytest.approx(0.21)
    assert len(found.rounds) == found.predicted(1).n == 3


def test_noise_shows_in_the_range():
    found = timed(Clockwork(noise=0.05), most=5000, budget=6).predicted(5000)
    assert found.minimum < found.maximum
    assert found.minimum <= found.median <= found.maximum


def test_the_sizes_keep_to_the_budget_and_to_the_batch_asked_for():
    slow, short = Clockwork(), Clockwork()
    assert timed(slow, most=5000, budget=6).sizes == (32, 128)
    assert timed(short, most=20, budget=6).sizes == (5, 20)
    assert max(short.sizes) == 20


def test_times_that_do_not_rise_are_taken_in_proportion():
    assert Timed((10, 40), ((2.0, 1.0),)).predicted(80).median == 2.0
    assert Timed((10, 40), ((0.1, 4.0),)).predicted(80).median == 8.0


def test_a_summary_in_another_unit():
    assert summary([3.0, 1.0, 2.0]).times(10) == summary([30.0, 10.0, 20.0])


@pytest.mark.parametrize("channels_last", [True, False])
def test_a_real_step_trains_and_leaves_the_random_state(channels_last):
    model, before = build("C1", seed=0, shape=(2, 8, 8), classes=3), torch.get_rng_state()
    start = [p.clone() for p in model.parameters()]
    step = TrainingStep(Blocked(model, block=4), (2, 8, 8), 3, precision="bfloat16", channels_last=channels_last)
    assert step.seconds(9) > 0
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(torch.equal(a, b) for a, b in zip(start, model.parameters(), strict=True) if a.dim() > 1)
    assert model[0].weight.is_contiguous(memory_format=step.layout)
