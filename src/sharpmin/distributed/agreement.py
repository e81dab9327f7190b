"""Whether the processes of a job have the same before they add up what each computes.

A sum of losses of two networks, or of one on two data sets, is a number of neither, and nothing in it shows. So what is
to be alike is compared by checksums: weights, buffers such as running statistics, the first batch of the data.
"""

import dataclasses
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from sharpmin.distributed.group import Group
from sharpmin.errors import RunError


def check_alike(group: Group, **parts: Iterable[Tensor]) -> None:
    """Raise a RunError that names what is not the same in all processes.

    Example:
        >>> from sharpmin.distributed.group import ALONE
        >>> check_alike(ALONE, weights=[torch.zeros(2)])

    """
    if group.size == 1:
        return
    found = group.collect({name: checksum(tensors) for name, tensors in parts.items()})
    if differing := [name for name in parts if len({one[name] for one in found}) > 1]:
        raise RunError(
            f"the processes of this job do not have the same {' and '.join(differing)}: take processors of one kind, "
            "seed whatever is drawn, give each all of the data (no DistributedSampler: batches are shared out here), "
            "and after a training with DDP rank 0's running statistics; in one process no agreement is needed"
        )


def checksum(tensors: Iterable[Tensor]) -> int:
    """CRC-32 of the tensors' shapes and bytes; sparse, nested and quantized ones are passed over."""
    found = 0
    for tensor in tensors:
        if tensor.is_nested or tensor.layout is not torch.strided or tensor.is_quantized:
            continue
        plain = tensor.detach().cpu().contiguous()
        found = zlib.crc32(repr((plain.dtype, tuple(plain.shape))).encode(), found)
        found = zlib.crc32(plain.reshape(-1).view(torch.uint8).numpy().data, found)
    return found


def tensors_in(batch: Any) -> Iterator[Tensor]:
    """The tensors in a batch: in tuples, lists, mappings and dataclasses; of what else there is none.

    Example:
        >>> len(list(tensors_in({"x": torch.ones(1), "more": [torch.ones(1), "name"]})))
        2

    """
    if isinstance(batch, Tensor):
        yield batch
        return
    parts: Iterable[Any] = ()
    if isinstance(batch, Mapping):
        parts = batch.values()
    elif isinstance(batch, tuple | list):
        parts = batch
    elif dataclasses.is_dataclass(batch):
        parts = (getattr(batch, field.name) for field in dataclasses.fields(batch))
    for part in parts:
        yield from tensors_in(part)
