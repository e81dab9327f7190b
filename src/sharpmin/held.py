"""How many bytes tensors hold: those that autograd saves, and all that operators made and nobody has let go of."""

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class SavedBytes(torch.autograd.graph.saved_tensors_hooks):
    """Counts the bytes of the storages that autograd saves for a backward pass, but for those known before.

    Attributes:
        total: bytes so far.

    Example:
        >>> x = torch.ones(10, requires_grad=True)
        >>> with SavedBytes([x]) as saved:
        ...     y = x.exp() * x
        >>> saved.total
        40

    """

    def __init__(self, known: Iterable[Tensor]) -> None:
        super().__init__(self._count, lambda tensor: tensor)
        self.total = 0
        self.seen = {tensor.untyped_storage()._cdata for tensor in known}

    def __enter__(self) -> "SavedBytes":  # type: ignore[override]
        """Begin to count."""
        super().__enter__()
        return self

    def _count(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self.seen:
            self.seen.add(storage._cdata)
            self.total += storage.nbytes()
        return tensor


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of the storages that operators made and that are still alive, but for those known before.

    Whatever holds them counts: autograd, a checkpoint, a list. PyTorch takes a second or two to begin the first time.

    Attributes:
        alive: bytes now.
        peak: the most so far.

    Example:
        >>> with LiveBytes() as live:
        ...     x = torch.ones(10) + torch.ones(10)
        >>> live.alive, live.peak
        (40, 120)

    """

    def __init__(self, *known: Tensor) -> None:
        super().__init__()
        self.alive = self.peak = 0
        self.known = {tensor.untyped_storage()._cdata for tensor in known}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the operator and look at what it made."""
        answer = func(*args, **(kwargs or {}))
        for tensor in answer if isinstance(answer, tuple | list) else (answer,):
            if isinstance(tensor, Tensor):
                self._watch(tensor.untyped_storage())
        return answer

    def _watch(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self.known and size:
            self.known.add(key)
            self.alive += size
            self.peak = max(self.peak, self.alive)
            weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.alive -= size
