"""The batches of a data set, one after the other, where f is computed.

Data come in two shapes: a pair of tensors, cut here, and any iterable of batches of any type, taken as it is.
"""

import copy
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from sharpmin.errors import UsageError

DEFAULT_BATCH = 5000  # the batch at which the authors evaluated


@runtime_checkable
class Pair(Protocol):
    """A data set held as two tensors, examples first; `sharpmin.data.Examples` is one."""

    @property
    def inputs(self) -> Tensor:
        """The inputs [N, ...]."""

    @property
    def targets(self) -> Tensor:
        """The targets [N, ...]."""


Data: TypeAlias = Pair | Iterable[Any]


class Picked:
    """Rows of a tensor in another order, gathered when they are asked for."""

    def __init__(self, tensor: Tensor, order: Tensor) -> None:
        self.tensor, self.order = tensor, order

    def __len__(self) -> int:
        return len(self.order)

    @property
    def nbytes(self) -> int:
        """Bytes of all of them, once gathered."""
        return len(self) * self.tensor[:1].nbytes

    def __getitem__(self, picked: slice) -> Tensor:
        return self.tensor[self.order[picked]]


class Shuffled:
    """A random sample of a pair of tensors, in random order: a pair again."""

    def __init__(self, data: Any, count: int, *, seed: int) -> None:
        order = torch.randperm(len(data.inputs), generator=torch.Generator().manual_seed(seed))[:count]
        self.inputs, self.targets = Picked(data.inputs, order), Picked(data.targets, order)


def batches(
    data: Data,
    *,
    batch_size: int | None,
    device: torch.device,
    dtype: torch.dtype | None = None,
    channels_last: bool = False,
    turns: slice = slice(None),
) -> Iterator[Any]:
    """Give a pair's batches of `batch_size` (5000 where it is None), or copies of an iterable's own, on the device.

    Args:
        data: two tensors, or an iterable that can be read again.
        batch_size: examples per batch of a pair; an iterable has its own.
        device: where the tensors go.
        dtype: what floating tensors of 16 bits are widened to, where given.
        channels_last: lay 4-dimensional inputs of a pair out that way.
        turns: which of the batches to give, all by default; an iterable is read whole.

    """
    if not isinstance(data, Pair):
        with same_order(data):
            for batch in islice(data, turns.start, None, turns.step):
                yield moved(batch, device, dtype, copied=True)
        return
    size = batch_size or DEFAULT_BATCH
    for start in range(0, len(data.inputs), size)[turns]:
        picked = slice(start, start + size)
        inputs, targets = moved((data.inputs[picked], data.targets[picked]), device, dtype)
        if channels_last and inputs.dim() == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        yield inputs, targets


@contextmanager
def same_order(data: Any) -> Iterator[None]:
    """Give the random generators of a loader and its samplers back as they were, so that every pass shuffles alike."""
    own = [getattr(data, name, None) for name in ("sampler", "batch_sampler")]
    holders = (data, *own, getattr(own[1], "sampler", None))
    found = (getattr(holder, "generator", None) for holder in holders)
    states = {generator: generator.get_state() for generator in found if isinstance(generator, torch.Generator)}
    try:
        yield
    finally:
        for generator, state in states.items():
            generator.set_state(state)


def moved(batch: Any, device: torch.device, dtype: torch.dtype | None = None, *, copied: bool = False) -> Any:
    """The batch with every tensor in it on the device: tuples, lists, mappings, dataclasses, anything with `.to`.

    Containers are new ones; tensors are the same where they can be, unless `copied`.

    Example:
        >>> moved({"x": torch.ones(2), "name": "a"}, torch.device("cpu"))
        {'x': tensor([1., 1.]), 'name': 'a'}

    """
    if isinstance(batch, Tensor):
        narrow = batch.is_floating_point() and batch.element_size() < 4
        return batch.to(device, dtype if narrow else None, non_blocking=True, copy=copied)
    inside = partial(moved, device=device, dtype=dtype, copied=copied)
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*map(inside, batch))
    if isinstance(batch, tuple | list):
        return type(batch)(map(inside, batch))
    if type(batch) is dict:
        return {key: inside(part) for key, part in batch.items()}
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        parts = {f.name: inside(getattr(batch, f.name)) for f in dataclasses.fields(batch) if f.init}
        return dataclasses.replace(batch, **parts)
    if callable(getattr(batch, "to", None)):  # a tokenizer's or a graph library's own batch
        return (duplicate(batch) if copied else batch).to(device)
    if isinstance(batch, Mapping):
        return {key: inside(part) for key, part in batch.items()}
    return batch


def duplicate(batch: Any) -> Any:
    """A copy of somebody's own batch, or the batch itself where it cannot be copied."""
    try:
        return copy.deepcopy(batch)
    except Exception:  # whatever its parts raise: a lock, a tensor with a graph
        return batch


def check_data(data: Any) -> None:
    """Raise a UsageError for data that can be seen to be neither a pair of tensors nor batches."""
    if isinstance(data, Pair):
        if wrong := {type(part).__name__ for part in (data.inputs, data.targets) if not isinstance(part, Tensor)}:
            raise UsageError(f"the data's inputs or targets are {' and '.join(sorted(wrong))}: make tensors of them")
        if len(data.inputs) != len(data.targets):
            raise UsageError(f"the data have {len(data.inputs)} inputs and {len(data.targets)} targets: one for each")
        if len(data.inputs) == 0:
            raise UsageError("the data set is empty: f is a mean over at least one example")
    elif isinstance(data, Dataset) and not isinstance(data, IterableDataset):
        raise UsageError(
            f"the data, a {type(data).__name__}, are single examples: make batches of them, DataLoader(data, "
            "batch_size=...); of a Dataset that holds whole batches, DataLoader(data, batch_size=None)"
        )


def check_batch_size(data: Any, batch_size: int | None) -> int | None:
    """The evaluation batch size for this data: the one given, or the whole set up to `DEFAULT_BATCH`.

    None for an iterable, whose batches have the sizes that they have.
    """
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"batch_size is {batch_size}: it must be at least 1")
    check_data(data)
    if not isinstance(data, Pair):
        return None
    return min(batch_size or DEFAULT_BATCH, len(data.inputs))
