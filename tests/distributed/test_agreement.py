"""What is compared before processes add up what each computes."""

import pytest
import torch

from distributed.test_group import Overheard
from sharpmin.distributed.agreement import check_alike, checksum
from sharpmin.errors import RunError


def test_what_differs_is_named():
    ours, theirs = [torch.tensor([1.0, 2.0])], [torch.tensor([2.0, 1.0])]
    same = Overheard({"weights": checksum(ours), "data": checksum(theirs)})
    check_alike(same, weights=ours, data=theirs)
    with pytest.raises(RunError, match="do not have the same data: take processors of one kind, seed"):
        check_alike(same, weights=ours, data=ours)


def test_what_has_no_plain_bytes_is_passed_over():
    nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], layout=torch.jagged)
    assert checksum([torch.eye(2).to_sparse(), nested]) == checksum([])


def test_shapes_dtypes_and_scalars_count():
    tensors = [torch.zeros(4), torch.zeros(2, 2), torch.zeros(4, dtype=torch.int32), torch.tensor(0), torch.zeros(0)]
    assert len({checksum([tensor]) for tensor in tensors}) == len(tensors)
    assert checksum([torch.arange(6).reshape(2, 3).T]) == checksum([torch.tensor([[0, 3], [1, 4], [2, 5]])])
