"""Examples in another order, and f over them."""

import pytest
import torch
from torch import nn

from cases import F64, examples
from sharpmin.batching import Shuffled
from sharpmin.objective import Objective


def test_the_order_is_a_matter_of_the_seed():
    data = examples(50, 2)
    orders = [Shuffled(data, 50, seed=seed).inputs[slice(None)] for seed in (1, 1, 2)]
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])


def test_f_over_some_of_its_examples_is_their_mean():
    f = Objective(nn.Linear(4, 3, dtype=F64), examples(23, 4))
    few = Shuffled(f.data, 9, seed=1)
    by_hand = nn.functional.cross_entropy(f.model(few.inputs[slice(None)]), few.targets[slice(None)]).item()
    part = f.over(few, batch_size=4)
    assert part.value(f.theta) == pytest.approx(by_hand, rel=1e-14)
    assert part.value_and_grad(f.theta)[0] == part.value(f.theta)
    assert [len(x) for x, _ in part.batches()] == [4, 4, 1]
    assert len(f.data.inputs) == f.batch_size == 23
