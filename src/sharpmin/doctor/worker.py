"""A process that takes training steps of C1 when told.

A line in is a `Turn`, a line out its seconds, both JSON. The allocator is set once, for a process cannot go back.
"""

import json
import sys
from dataclasses import dataclass

import torch

from sharpmin import runtime, zoo
from sharpmin.arithmetic import Precision
from sharpmin.blocked import Blocked
from sharpmin.timing import TrainingStep

NETWORK = "C1"


@dataclass(frozen=True)
class Turn:
    """The settings of a training step, and its examples."""

    threads: int
    examples: int = 256
    channels_last: bool = True
    precision: Precision = "float32"


def step_of(turn: Turn) -> TrainingStep:
    """A step under these settings, not yet taken."""
    like = zoo.default_interface(NETWORK)
    network = Blocked(zoo.build(NETWORK, seed=0))
    return TrainingStep(network, like.shape, like.classes, precision=turn.precision, channels_last=turn.channels_last)


def main(allocator: str) -> None:
    """Answer every line until there are no more, with freed memory "kept" or the allocator by "default"."""
    steps: dict[tuple[bool, Precision], TrainingStep] = {}
    if allocator == "kept":
        runtime.keep_freed_memory()
    for line in sys.stdin:
        turn = Turn(**json.loads(line))
        torch.set_num_threads(turn.threads)
        key = turn.channels_last, turn.precision
        steps[key] = steps.get(key) or step_of(turn)
        print(json.dumps(steps[key].seconds(turn.examples)), flush=True)
