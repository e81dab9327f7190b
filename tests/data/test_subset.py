import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sharpmin.data import Examples, subset
from sharpmin.errors import UsageError


def numbered(targets):
    """Examples whose input is their own position."""
    return Examples(torch.arange(len(targets)).float(), torch.tensor(targets))


@given(
    targets=st.lists(st.integers(0, 4), min_size=1, max_size=60),
    size=st.integers(1, 60),
    seed=st.integers(0, 1000),
)
def test_counts_differ_by_at_most_one_or_the_request_is_refused(targets, size, seed):
    examples = numbered(targets)
    available = torch.bincount(examples.targets, minlength=5)
    possible = size <= sum(min(int(count), size // 5) for count in available) + min(
        size % 5, int((available > size // 5).sum())
    )
    if not possible:
        with pytest.raises(UsageError):
            subset(examples, size, seed=seed, classes=5)
        return
    chosen = subset(examples, size, seed=seed, classes=5)
    counts = torch.bincount(chosen.targets, minlength=5)
    assert len(chosen) == size
    assert counts.max() - counts.min() <= 1
    assert (chosen.inputs.diff() > 0).all()
    assert torch.equal(examples.targets[chosen.inputs.long()], chosen.targets)


def test_the_same_seed_chooses_the_same_and_another_seed_others():
    examples = numbered([label for label in range(10) for _ in range(50)])
    first, again, other = (subset(examples, 103, seed=seed, classes=10) for seed in (7, 7, 8))
    assert torch.equal(first.inputs, again.inputs)
    assert not torch.equal(first.inputs, other.inputs)


def test_the_largest_possible_size_is_told_and_true():
    examples = numbered([0] * 5 + [1] * 3 + [2] * 9)
    with pytest.raises(UsageError, match=r"class 1 has only 3; ask for at most 11"):
        subset(examples, 12, classes=3)
    assert torch.bincount(subset(examples, 11, classes=3).targets).tolist() == [4, 3, 4]


@pytest.mark.parametrize("size", [0, -1, 5])
def test_an_impossible_size_says_what_is_possible(size):
    with pytest.raises(UsageError, match="choose from 1 to 4"):
        subset(numbered([0, 1, 0, 1]), size, classes=2)


def test_examples_that_do_not_pair_up_are_refused():
    with pytest.raises(UsageError, match="do not pair up"):
        Examples(torch.zeros(3, 2), torch.zeros(2, dtype=torch.int64))
