import pytest
import torch

from sharpmin.data import synthetic
from sharpmin.errors import UsageError


def test_the_same_seed_gives_the_same_bits_whatever_else_draws_numbers():
    first = synthetic(train=30, test=20, seed=3)
    torch.manual_seed(99)
    state = torch.get_rng_state()
    again = synthetic(train=30, test=20, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    for half in ("train", "test"):
        assert torch.equal(getattr(first, half).inputs, getattr(again, half).inputs)
        assert torch.equal(getattr(first, half).targets, getattr(again, half).targets)
    assert not torch.equal(first.train.inputs, synthetic(train=30, test=20, seed=4).train.inputs)


@pytest.mark.parametrize("shape", [(3, 32, 32), (784,), (2, 3)])
def test_any_shape_in_the_unit_interval_with_balanced_classes(shape):
    split = synthetic(train=70, test=14, shape=shape, classes=7)
    assert split.train.inputs.shape == (70, *shape)
    assert split.train.inputs.dtype == torch.float32
    assert split.train.inputs.min() >= 0
    assert split.train.inputs.max() <= 1
    assert torch.bincount(split.train.targets).tolist() == [10] * 7
    assert (split.classes, split.synthetic) == (7, True)


def test_it_can_be_learned():
    split = synthetic(train=200, test=100)
    means = torch.stack([split.train.inputs[split.train.targets == label].mean(0) for label in range(10)])
    nearest = torch.cdist(split.test.inputs.flatten(1), means.flatten(1)).argmin(1)
    assert (nearest == split.test.targets).float().mean() > 0.95


@pytest.mark.parametrize("bad", [{"train": 0}, {"test": -1}, {"shape": ()}, {"shape": (3, 0)}, {"classes": 0}])
def test_empty_sizes_are_refused(bad):
    with pytest.raises(UsageError, match="positive sizes"):
        synthetic(**bad)
