"""A training step that a GPU is told once and then repeats: a CUDA graph.

A step of F1 is some hundred kernels of a few microseconds each, which a processor cannot launch as fast as the GPU runs
them; even the convolutions of C1 wait for it at small batches. So after a few steps one is recorded, from the choice of
its examples to Adam's update, and launched as a whole from then on: docs/gpu.md has what that gains.

The first steps, and a last batch of another size, are made kernel by kernel. The kernels and their numbers are the
same either way, dropout's too, so for dense networks the bits do not depend on which steps were recorded, nor on where
a training was interrupted. (For convolutional ones no two trainings on a GPU have the same bits: PyTorch's kernels add
their gradients in varying order.)
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from sharpmin.blocked import can_block
from sharpmin.distributed.group import Group
from sharpmin.train_config import TrainConfig

BEFORE = 3  # steps before one is recorded: the libraries choose kernels and allocate their workspaces in them


class Step(Protocol):
    """A step of training on the examples picked [B], moved as `views` [N, ...] says where it is given."""

    def __call__(self, picked: Tensor, views: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Move the weights; give the mean loss and the hits before, on the device."""


def can_record(model: nn.Module, config: TrainConfig, *, device: torch.device, group: Group) -> bool:
    """Whether the steps are alike and known never to ask the GPU for a number: chains of known layers, plain Adam."""
    plain = config.optimizer == "adam" and not config.remedies
    return device.type == "cuda" and group.size == 1 and plain and can_block(model)


class Recorded:
    """A step made kernel by kernel at first, then as one CUDA graph.

    Args:
        step: reads and writes tensors that stay where they are, but for `picked`; its `views` are None.
        size: examples of the steps to record.

    """

    def __init__(self, step: Step, *, size: int) -> None:
        self.step, self.size, self.made = step, size, 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, picked: Tensor, views: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The step on the examples picked; of a recorded one, the results are overwritten by the next."""
        if len(picked) != self.size:
            return self.step(picked, views)
        if self.made < BEFORE:
            self.made += 1
            return self._aside(picked)
        if self.graph is None:
            self._record(picked)
        self.picked.copy_(picked)
        self.graph.replay()  # type: ignore[union-attr]
        return self.result

    def _aside(self, picked: Tensor) -> tuple[Tensor, Tensor]:
        """The step on another stream, where what is lazily made is made for a recording too."""
        here, aside = torch.cuda.current_stream(picked.device), torch.cuda.Stream(picked.device)
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            result = self.step(picked)
        here.wait_stream(aside)
        return result

    def _record(self, picked: Tensor) -> None:
        """Record the step; nothing moves yet."""
        self.picked, self.graph = picked.clone(), torch.cuda.CUDAGraph()
        with torch.cuda.device(picked.device), torch.cuda.graph(self.graph):
            self.result = self.step(self.picked)
