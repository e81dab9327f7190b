"""f(theta): the mean loss of a model over a fixed data set, as a function of one flat weight vector.

This is the seam of the package. Batches, devices, precision and BatchNorm are settled here; every measure
and every landscape above sees only

    f(theta) = (1/N) sum_{i=1}^{N} loss(model(theta; x_i), y_i)

and its gradient. The per-example losses are summed in float64 and divided by N once, so a ragged last batch
weighs what it should and the gradient is the gradient of exactly that number.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from sharpmin.batchnorm import Policy, check_policy, evaluating
from sharpmin.blocked import Blocked, can_block
from sharpmin.errors import UsageError
from sharpmin.weights import layout

Precision = Literal["float32", "bfloat16"]
DEFAULT_BATCH = 5000  # the batch at which the authors evaluated


class Scored(NamedTuple):
    """Per-example losses [B] and whether each example was classified correctly [B]."""

    losses: Tensor
    hits: Tensor


@runtime_checkable
class Pair(Protocol):
    """A data set held as two tensors, examples first; `sharpmin.data.Examples` is one."""

    @property
    def inputs(self) -> Tensor:
        """The inputs [N, ...]."""

    @property
    def targets(self) -> Tensor:
        """The targets [N, ...]."""


Loss = Callable[[nn.Module, Any], "Scored | Tensor | tuple[Tensor, int]"]


def classification(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Scored:
    """Cross-entropy of the logits `model(inputs)` against integer targets, and the hits.

    Example:
        >>> batch = torch.zeros(2, 4), torch.tensor([0, 2])
        >>> classification(nn.Linear(4, 3), batch).losses.shape
        torch.Size([2])

    """
    inputs, targets = batch
    logits = model(inputs)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return Scored(F.cross_entropy(logits, targets, reduction="none"), logits.argmax(1) == targets)


@dataclass(frozen=True)
class Measurement:
    """Loss and accuracy at one theta.

    Attributes:
        loss: f(theta), the mean per-example loss.
        accuracy: fraction of examples classified correctly; None where the loss function counts no hits.
        examples: N.

    """

    loss: float
    accuracy: float | None
    examples: int


class Objective:
    """The mean loss of `model` over `data`, as a function of its flat weight vector.

    The model is used, not copied; its weights, mode, buffers and the random state come back as they were.

    Args:
        model: any `nn.Module`. BatchNorm layers without running statistics always use the batch's.
        data: an object with tensors `inputs` and `targets` ([N, ...] each), or any re-iterable of batches.
        loss: `loss(model, batch)` gives per-example losses [B], or (sum, count), or `Scored`; by default
            cross-entropy on (input, target).
        batch_norm: "running" (as stored) or "batch" (of the evaluation batch); see `sharpmin.batchnorm`.
        batch_size: examples per evaluation batch for tensor data; by default the whole set up to 5000. With
            batch statistics it is part of the definition of f.
        device: where to compute; by default where the model's weights are.
        precision: "float32" computes in the dtype of the weights; "bfloat16" under autocast.
        parameters: names of the parameters that make up theta; by default all that require a gradient.

    Raises:
        UsageError: unknown policy, precision or parameter; empty data; a batch size below 1.

    Example:
        >>> from sharpmin import data, zoo
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> f = Objective(nn.Linear(4, 3), toy.train)
        >>> value, gradient = f.value_and_grad(f.theta)
        >>> gradient.shape
        torch.Size([15])

    """

    def __init__(
        self,
        model: nn.Module,
        data: Pair | Iterable[Any],
        *,
        loss: Loss = classification,
        batch_norm: Policy = "running",
        batch_size: int | None = None,
        device: torch.device | str | None = None,
        precision: Precision = "float32",
        parameters: Iterable[str] | None = None,
    ) -> None:
        check_policy(batch_norm)
        if precision not in ("float32", "bfloat16"):
            raise UsageError(f"unknown precision {precision!r}: choose float32 or bfloat16")
        self.model = model
        self.data = data
        self.loss = loss
        self.batch_norm: Policy = batch_norm
        self.precision: Precision = precision
        self.layout = layout(model, parameters=parameters)
        self.device = torch.device(device) if device is not None else next(model.parameters()).device
        self.batch_size = check_batch_size(data, batch_size)
        blocked = self.device.type == "cpu" and can_block(model)
        self._network = Blocked(model) if blocked else model  # type: ignore[arg-type]
        self._prefix = "model." if blocked else ""

    @property
    def theta(self) -> Tensor:
        """The model's present weights as one new vector [n] on the objective's device."""
        return self.layout.flatten(dict(self.model.named_parameters())).to(self.device)

    def value(self, theta: Tensor) -> float:
        """f(theta), without a gradient."""
        return self.measure(theta).loss

    @torch.no_grad()
    def measure(self, theta: Tensor) -> Measurement:
        """Loss and accuracy at theta [n].

        NaN and infinite losses are returned as they are.
        """
        total, hits, examples = 0.0, None, 0
        with same_random_state(self.device):
            for scored, summed, count in self._losses(theta):
                total += summed.item()
                examples += count
                if isinstance(scored, Scored):
                    hits = (hits or 0) + int(scored.hits.sum())
        check_examples(examples)
        return Measurement(total / examples, None if hits is None else hits / examples, examples)

    def value_and_grad(self, theta: Tensor) -> tuple[float, Tensor]:
        """f(theta) and its gradient [n], from one pass over the data.

        The gradient is in theta's dtype and of the same sum of per-example losses as the value.
        """
        theta = theta.detach().to(self.device)
        pieces = {name: piece.requires_grad_() for name, piece in self.layout.unflatten(theta).items()}
        gradient, total, examples = torch.zeros_like(theta), 0.0, 0
        with torch.enable_grad(), same_random_state(self.device):
            for _, summed, count in self._losses(theta, pieces=pieces):
                grads = torch.autograd.grad(summed, list(pieces.values()), allow_unused=True, materialize_grads=True)
                gradient += torch.cat([grad.reshape(-1) for grad in grads])
                total += summed.item()
                examples += count
        check_examples(examples)
        return total / examples, gradient.div_(examples)

    def _batches(self) -> Iterator[Any]:
        """The batches: a stream's as they come; a pair's cut, on the device, images channels last for convolutions."""
        if not isinstance(self.data, Pair):
            yield from self.data
            return
        for start in range(0, len(self.data.inputs), self.batch_size):
            inputs = self.data.inputs[start : start + self.batch_size].to(self.device, non_blocking=True)
            if inputs.dim() == 4:
                inputs = inputs.contiguous(memory_format=torch.channels_last)
            yield (
                inputs,
                self.data.targets[start : start + self.batch_size].to(self.device, non_blocking=True),
            )

    def _losses(self, theta: Tensor, *, pieces: dict[str, Tensor] | None = None) -> Iterator[tuple[Any, Tensor, int]]:
        """For each batch: what the loss function gave, the sum of its losses in float64, and its size."""
        weights = self.layout.unflatten(theta.to(self.device)) if pieces is None else pieces
        given = {**self._outside(), **{self._prefix + name: tensor for name, tensor in weights.items()}}
        swapped = Swapped(self._network, given)
        enabled = self.precision == "bfloat16"
        for batch in self._batches():
            with (
                evaluating(self.model, self.batch_norm),
                torch.autocast(self.device.type, torch.bfloat16, enabled=enabled),
            ):
                scored = self.loss(swapped, batch)
            yield scored, *summed_and_counted(scored)

    def _outside(self) -> dict[str, Tensor]:
        """The tensors outside theta on the objective's device; buffers as copies that the model may write to."""
        buffers = {name: t.to(self.device, copy=True) for name, t in self._network.named_buffers()}
        return {**{name: t.to(self.device) for name, t in self._network.named_parameters()}, **buffers}


class Swapped(nn.Module):
    """A network with other weights, for the length of a call; the network itself keeps its own."""

    def __init__(self, network: nn.Module, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self._call = lambda args, kwargs: functional_call(network, weights, args, kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the network with the weights given."""
        return self._call(args, kwargs)


def summed_and_counted(scored: "Scored | Tensor | tuple[Tensor, int]") -> tuple[Tensor, int]:
    """Sum a batch's per-example losses in float64 and count them."""
    if isinstance(scored, tuple) and not isinstance(scored, Scored):
        total, count = scored
        return total.double(), int(count)
    losses = scored.losses if isinstance(scored, Scored) else scored
    if losses.dim() != 1:
        raise UsageError(
            f"the loss function returned shape {list(losses.shape)}: return one loss per example [B], "
            "or (sum, count); with a mean, a ragged last batch would weigh too much"
        )
    return losses.sum(dtype=torch.float64), len(losses)


def same_random_state(device: torch.device) -> AbstractContextManager[None]:
    """Give the random state back as it was, on the CPU and on the device."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def check_examples(examples: int) -> None:
    """Raise a UsageError where a pass over the data met no example."""
    if not examples:
        raise UsageError("the data gave no examples: f needs at least one, and a generator can be read only once")


def check_batch_size(data: Any, batch_size: int | None) -> int:
    """The evaluation batch size for this data: the one given, or the whole set up to `DEFAULT_BATCH`."""
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"batch_size is {batch_size}: it must be at least 1")
    if not isinstance(data, Pair):
        return batch_size or DEFAULT_BATCH
    if len(data.inputs) == 0:
        raise UsageError("the data set is empty: f is a mean over at least one example")
    return min(batch_size or DEFAULT_BATCH, len(data.inputs))
