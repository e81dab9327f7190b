"""What a training will take, said before it begins: memory at its height, and time.

Memory is counted from what each stage of the network keeps for an example (`sharpmin.memory`), time is a line through
steps at two small batches (`sharpmin.timing`). Both take seconds; nothing is trained.
"""

import copy
from dataclasses import dataclass

import torch
from torch import nn

from sharpmin import memory as estimating
from sharpmin.arithmetic import Precision
from sharpmin.blocked import SHARE, Blocked, can_block
from sharpmin.checkpointing import Keep, peak
from sharpmin.errors import UsageError
from sharpmin.machine import Usage, Watch
from sharpmin.runtime import available_memory, resident_memory
from sharpmin.timing import Summary, Timed, TrainingStep, timed


@dataclass(frozen=True)
class Forecast:
    """Memory in bytes and time of a training that has not begun.

    Attributes:
        batch_size: examples per step.
        examples: in the training set.
        precision: of the arithmetic.
        process: this program and PyTorch, as they are now, without the weights.
        data: the training set.
        weights: the weights, their gradient, Adam's two moments, and workspaces.
        batch: the examples of a step.
        activations: kept from the forward to the backward pass.
        in_flight: one block's activations, computed again, and their gradients.
        keep: what each stage of the network keeps.
        allowed: bytes that all this may take; None where the system does not say what is free.
        largest: the largest batch that fits, however much is computed again; None where anything does.
        step: seconds of a step.
        timed: the steps that this was concluded from.
        usage: of the processors meanwhile.

    """

    batch_size: int
    examples: int
    precision: Precision
    process: float
    data: float
    weights: float
    batch: float
    activations: float
    in_flight: float
    keep: tuple[Keep, ...]
    allowed: float | None
    largest: int | None
    step: Summary
    timed: Timed
    usage: Usage

    @property
    def peak(self) -> float:
        """Bytes at the height of a step."""
        return self.process + self.data + self.weights + self.batch + self.activations + self.in_flight

    @property
    def fits(self) -> bool:
        """Whether that is allowed."""
        return self.allowed is None or self.peak <= self.allowed

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-self.examples // self.batch_size)

    @property
    def epoch(self) -> Summary:
        """Seconds of an epoch."""
        return self.step.times(self.examples / self.batch_size)


def forecast(
    model: nn.Module,
    shape: tuple[int, ...],
    classes: int,
    *,
    batch_size: int,
    examples: int,
    memory: float | None = None,
    precision: Precision = "float32",
    seconds: float = 6.0,
) -> Forecast:
    """Predict memory and time of training a classifier on this machine's processors.

    Args:
        model: gives logits; a copy of it is used.
        shape: of one input.
        classes: number of outputs.
        batch_size: examples per step.
        examples: in the training set.
        memory: bytes that the process may take in all; by default most of what is free.
        precision: of the arithmetic.
        seconds: about how long to measure.

    Raises:
        UsageError: a batch larger than the training set, a size below 1, or no memory.

    Example:
        >>> from sharpmin.zoo import build
        >>> model = build("F1", seed=0, shape=(8,), classes=3)
        >>> found = forecast(model, (8,), 3, batch_size=500, examples=2000, memory=4 * 2**30, seconds=0.1)
        >>> found.fits, found.steps, set(found.keep)
        (True, 4, {'all'})

    """
    if not 1 <= batch_size <= examples:
        raise UsageError(f"batch size {batch_size} does not fit a training set of {examples} examples")
    if memory is not None and memory <= 0:
        raise UsageError("the memory allowed is 0 or less: give what the training may take")
    watch, held, free = Watch(), resident_memory(), available_memory()
    model, example, weights = copy.deepcopy(model), torch.rand(shape), estimating.weight_bytes(model)
    process, data = max(held - weights, 0), examples * example.numel() * example.element_size()
    step = estimating.estimate(model, example, precision=precision)
    allowed = memory if memory is not None else None if free is None else held + SHARE * free
    left = float("inf") if allowed is None else allowed - process - data - weights
    keep = step.chosen(batch_size, left)
    network = Blocked(model, keep=keep) if can_block(model) else model  # type: ignore[arg-type]
    found = timed(TrainingStep(network, shape, classes, precision=precision), most=batch_size, budget=seconds)
    activations = batch_size * sum(stage.kept[how] for stage, how in zip(step.stages, keep, strict=True))
    return Forecast(
        batch_size=batch_size,
        examples=examples,
        precision=precision,
        process=process,
        data=data,
        weights=weights + step.fixed,
        batch=step.beside(batch_size) - step.fixed,
        activations=activations,
        in_flight=peak(step.stages, keep, batch_size, block=step.block) - activations,
        keep=keep,
        allowed=allowed,
        largest=None if allowed is None else step.fits(left),
        step=found.predicted(batch_size),
        timed=found,
        usage=watch.usage(),
    )
