"""Points are evaluated in order, in groups that share a pass, and handed on group by group."""

import torch

from cases import F64
from landscape.quadratics import objective, value
from sharpmin import Objective
from sharpmin.data import Examples
from sharpmin.landscape.points import TOGETHER, measured


class Counting:
    """The data of `objective`, counting their readings."""

    def __init__(self):
        self.passes = 0

    def __iter__(self):
        self.passes += 1
        yield torch.zeros(5, 1, dtype=F64), torch.zeros(5)


def at(number):
    return torch.full((6,), float(number), dtype=F64)


def test_every_point_is_evaluated_once_in_order_and_a_group_shares_a_pass():
    f, handed, told = objective(), [], []
    f.data = Counting()
    hand, tell = lambda done: handed.append(len(done)), lambda done, one: told.append((done, one))
    found = measured(f, at, 19, after=hand, tell=tell)
    assert [one.loss for one in found] == [f.value(at(number)) for number in range(19)]
    assert abs(found[3].loss - value(at(3))) < 1e-12 * value(at(3))
    assert handed == [TOGETHER, 2 * TOGETHER, 19]
    assert told == [(number + 1, one) for number, one in enumerate(found)]
    assert f.data.passes == 3 + 19


def test_what_was_found_is_not_evaluated_again():
    f = objective()
    whole = measured(f, at, 12)
    made = []

    def noted(number):
        made.append(number)
        return at(number)

    assert measured(f, noted, 12, found=whole[:9]) == whole
    assert made == [9, 10, 11]
    assert measured(f, noted, 12, found=whole) == whole
    assert made == [9, 10, 11]


def test_points_may_bring_their_own_buffers():
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    data = Examples(torch.randn(7, 2, generator=torch.Generator().manual_seed(0)), torch.arange(7) % 3)
    f = Objective(model, data, batch_norm="running")
    buffers = lambda number: {"1.running_mean": torch.tensor([float(number), 0.0, 0.0])}  # noqa: E731
    found = measured(f, lambda number: f.theta, 10, buffers=buffers)
    assert found == [f.with_buffers(buffers(number)).measure(f.theta) for number in range(10)]
    assert len({one.loss for one in found}) == 10
