"""A model with other tensors in place of its own, for the length of a call.

The model is somebody else's: nothing here writes to it. What it holds beside theta (frozen weights, buffers) is
handed in as copies where it could be written to, and everything lies on one device.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from sharpmin.blocked import BLOCK, Blocked, can_block
from sharpmin.combination import AfterFirst, FirstLayer, dense_first
from sharpmin.errors import UsageError
from sharpmin.runtime import resolve_device

Found = TypeVar("Found")

WHOLE = 2**31  # examples in a block: more than any batch has
KEPT = 2**29  # bytes of a first layer's outputs kept, 8 for a number


class Swapped(nn.Module):
    """A network with other tensors, for the length of a call; the network itself keeps its own."""

    def __init__(self, network: nn.Module, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self._held = (network, tensors)  # in a tuple: neither is to be registered here

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the network with the tensors given."""
        return functional_call(*self._held, args, kwargs)

    def lend(self, use: Callable[[nn.Module, Any], Found], batch: Any) -> Found:
        """`use(network, batch)` while the network itself holds the tensors: attributes and methods work as well."""
        network, tensors = self._held
        return functional_call(Borrower(network, use), {f"network.{n}": t for n, t in tensors.items()}, (batch,))


class Borrower(nn.Module):
    """A function of a network and a batch, as a module whose tensors are the network's."""

    def __init__(self, network: nn.Module, use: Callable[[nn.Module, Any], Any]) -> None:
        super().__init__()
        self.network, self.use = network, use

    def forward(self, batch: Any) -> Any:
        """Call the function."""
        return self.use(self.network, batch)


class Host:
    """A model, where it is evaluated, and in which dtype.

    Args:
        model: any module, also inside DataParallel, DistributedDataParallel or torch.compile.
        device: where to compute; by default where its weights are.

    Attributes:
        model: the module itself.
        device: where it is evaluated.
        widen: float32 where some of its weights have only 16 bits, else None: each keeps its dtype. A box of 1e-3
            around a weight is finer than bfloat16 can resolve.
        chain: whether it can be evaluated in blocks.
        dense: the place of its first layer where that is a dense one.

    Raises:
        UsageError: the model is spread over several devices, or on none, or on one that cannot be used; it has complex
            weights, or an embedding that rewrites its own.

    """

    def __init__(self, model: nn.Module, device: torch.device | str | None) -> None:
        self.model = unwrapped(model)
        check_real(self.model)
        check_not_written(self.model)
        home = only_device(self.model)
        self.device = resolve_device(str(home if device is None else device))
        narrow = any(is_narrow(p) for p in self.model.parameters())
        self.widen = torch.float32 if narrow else None
        self.chain = can_block(self.model)
        self.dense = dense_first(self.model)

    def moved(self, tensor: Tensor, *, copy: bool = False) -> Tensor:
        """The tensor on the device; widened where it is floating and of 16 bits."""
        return tensor.to(self.device, self.widen if is_narrow(tensor) else None, copy=copy)

    def buffers(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Copies of every buffer, the given ones first, that a call may write to."""
        own = self.model.named_buffers()
        return {name: self.moved(given.get(name, tensor), copy=True) for name, tensor in own}

    def with_tensors(
        self,
        weights: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        *,
        plain: bool = False,
        first: tuple[FirstLayer, Sequence[float]] | None = None,
    ) -> Swapped:
        """The model with these weights, and these buffers, which it may write to; the rest is its own.

        Args:
            weights: by name; they may require a gradient.
            buffers: all of them, by name.
            plain: never in blocks, which have no second derivatives.
            first: what computes the first layer, and the shares of its vectors at these weights.

        """
        network, prefix = self.model, ""
        tensors = {**buffers, **self._weights(weights)}
        if first is not None:
            network = self.model[self.dense + 1 :]  # type: ignore[index, operator]
            tensors = {name: tensor for name, tensor in tensors.items() if name not in self._first_names()}
        if self.chain and not plain and self.device.type == "cpu":
            network = Blocked(network, block=BLOCK if first is None else WHOLE)  # type: ignore[arg-type]
            prefix = "model."
        if first is not None:
            network, prefix = AfterFirst(*first, network), f"rest.{prefix}"
        return Swapped(network, {prefix + name: t for name, t in tensors.items()})

    def first_layer(self, vectors: Sequence[Mapping[str, Tensor]], *, examples: int) -> FirstLayer | None:
        """The dense first layer with the weights of several vectors.

        It keeps its outputs for as many batches of so many examples as fit into `KEPT`. None where not even one does,
        or where the vectors do not hold all of it.
        """
        if self.dense is None or not set(self._first_names()) <= set(vectors[0]):
            return None
        layer = self.model[self.dense]  # type: ignore[index]
        most = KEPT // (8 * len(vectors) * examples * layer.out_features)
        if not most:
            return None
        every = [self._weights(vector) for vector in vectors]
        own = [{name.split(".")[1]: weights[name] for name in self._first_names()} for weights in every]
        return FirstLayer(self.model[: self.dense], own, most=most)  # type: ignore[index]

    def _first_names(self) -> list[str]:
        """The names of the first layer's weights."""
        return [name for name, _ in self.model.named_parameters() if name.startswith(f"{self.dense}.")]

    def _weights(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Every weight by name: the given ones in the dtype to compute in, and otherwise the model's own."""
        return {
            name: weights[name].to(self.widen or own.dtype) if name in weights else self.moved(own.detach())
            for name, own in self.model.named_parameters()
        }


def is_narrow(tensor: Tensor) -> bool:
    """Whether the tensor is floating and has fewer than 32 bits."""
    return tensor.is_floating_point() and tensor.element_size() < 4


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside DataParallel, DistributedDataParallel and torch.compile."""
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model


def check_real(model: nn.Module) -> None:
    """Raise a UsageError where a weight is complex: theta is a vector of real numbers."""
    if names := [name for name, weight in model.named_parameters() if weight.is_complex()]:
        raise UsageError(
            f"{', '.join(names)}: complex weights; hold their real and imaginary parts (torch.view_as_real), of which "
            "theta can be made"
        )


def check_not_written(model: nn.Module) -> None:
    """Raise a UsageError where a call rewrites the weights, so that f would be a function of other ones."""
    for name, module in model.named_modules():
        if getattr(module, "max_norm", None) is not None and isinstance(module, nn.Embedding | nn.EmbeddingBag):
            raise UsageError(
                f"the embedding {name!r} has max_norm={module.max_norm:g} and rewrites its weights when it is called: "
                "set its max_norm to None to measure it (rows that training has used are within the norm already)"
            )


def only_device(model: nn.Module) -> torch.device:
    """The one device that holds the model.

    Raises:
        UsageError: there are several; they are named.

    """
    devices = sorted({str(t.device) for t in (*model.parameters(), *model.buffers())}) or ["cpu"]
    if len(devices) > 1:
        raise UsageError(f"the model is spread over {', '.join(devices)}: move it to one device with model.to(...)")
    if devices == ["meta"]:
        raise UsageError("the model is on the meta device, without numbers: load its weights first")
    return torch.device(devices[0])
