"""A data set cut to fewer examples to train and to test on."""

import pytest
import torch

from sharpmin import data
from sharpmin.errors import UsageError
from sharpmin.paper.inputs import cut

WHOLE = data.synthetic(train=60, test=50, shape=(4,), classes=5)


def test_each_part_by_its_own_size_balanced_and_by_the_seed():
    few = cut(WHOLE, train_size=20, test_size=15, seed=1)
    for part, size in ((few.train, 20), (few.test, 15)):
        assert torch.bincount(part.targets).tolist() == [size // 5] * 5
    assert torch.equal(few.test.inputs, cut(WHOLE, train_size=None, test_size=15, seed=1).test.inputs)
    assert not torch.equal(few.test.inputs, cut(WHOLE, train_size=20, test_size=15, seed=2).test.inputs)


def test_what_is_not_asked_for_stays_whole():
    whole = cut(WHOLE, train_size=None, seed=0)
    assert (whole.train, whole.test) == (WHOLE.train, WHOLE.test)
    assert cut(WHOLE, train_size=None, test_size=10, seed=0).train is WHOLE.train
    assert cut(WHOLE, train_size=10, seed=0).test is WHOLE.test


def test_more_than_there_are_is_refused():
    with pytest.raises(UsageError, match="choose from 1 to 50"):
        cut(WHOLE, train_size=None, test_size=51, seed=0)
