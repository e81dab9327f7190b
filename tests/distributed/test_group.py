"""What the processes of a group say to each other, heard from one of them."""

import pytest
import torch

from sharpmin.distributed.group import ALONE, Group, answered
from sharpmin.errors import RunError


class Overheard(Group):
    """The first of three processes; the others answer as they are told to."""

    def __init__(self, *others):
        super().__init__(0, 1 + len(others))
        object.__setattr__(self, "others", others)

    def collect(self, thing):
        return [thing, *self.others]


def test_rows_come_in_the_order_of_one_process():
    group = Overheard([(0, "b"), (1, "e")], [(0, "c")])
    assert group.in_order([(0, "a"), (1, "d")]) == [(0, "a"), (1, "b"), (2, "c"), (3, "d"), (4, "e")]


@pytest.mark.parametrize("examples", range(1, 9))
@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_parts_of_a_batch_are_the_batch_and_their_weights_add_up(examples, size):
    parts, weights = zip(*(Group(rank, size).share(torch.arange(examples)) for rank in range(size)), strict=True)
    assert sum(weights) == pytest.approx(1)
    if examples >= size:
        assert torch.cat(parts).tolist() == list(range(examples))
        assert weights == tuple(len(part) / examples for part in parts)
    else:
        assert weights == (1.0, *[0.0] * (size - 1))
        assert all(part.tolist() == list(range(examples)) for part in parts)


def test_other_weights_are_noticed():
    theta = torch.tensor([1.0, 2.0])
    same = int(theta.view(torch.uint8).sum())
    ALONE.check_same(theta)
    Overheard(same, same).check_same(theta)
    with pytest.raises(RunError, match="at different weights"):
        Overheard(same, same + 1).check_same(theta)


def test_a_process_that_is_gone_is_one_sentence():
    with pytest.raises(RunError, match="another process of this job has ended") as caught, answered():
        raise RuntimeError("Connection closed by peer\nand more")
    assert "\n" not in str(caught.value)
