"""How much memory a training step takes, known before it is started.

Autograd says itself what it keeps for the backward pass. A few examples, and some more, give the bytes per example and
stage; the rest is a straight line in the batch. A network that goes in blocks (`sharpmin.blocked`) can keep less and
compute again; of any other everything is kept, and of all on a GPU, where nothing goes in blocks.
"""

import copy
from bisect import bisect_right
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sharpmin.arithmetic import Precision
from sharpmin.blocked import BLOCK, Blocked, can_block
from sharpmin.checkpointing import KEEPS, Keep, StageMemory, choose, peak
from sharpmin.errors import SharpminError
from sharpmin.held import SavedBytes
from sharpmin.runtime import available_memory

WORKING = 1.2  # gradients and intermediates in flight, beside what is kept
WORKSPACE = 128 * 2**20  # of the convolutions, and thread stacks
MOST = 10**9  # examples


@dataclass(frozen=True)
class StepMemory:
    """Bytes that a training step takes at any batch size, beside the process, its weights and its data.

    Attributes:
        fixed: what does not depend on the batch: the gradient, Adam's moments, workspaces.
        inputs: bytes per example of the batch itself.
        stages: what each stage of the network keeps.
        block: examples computed at a time; 0 where the estimate of the stages has what is in flight.

    """

    fixed: float
    inputs: float
    stages: tuple[StageMemory, ...]
    block: int

    def needed(self, batch_size: int, keep: tuple[Keep, ...]) -> float:
        """Bytes needed at this batch size where the stages keep so much."""
        return self.beside(batch_size) + peak(self.stages, keep, batch_size, block=self.block)

    def chosen(self, batch_size: int, available: float) -> tuple[Keep, ...]:
        """What each stage would keep."""
        return choose(self.stages, batch_size, available - self.beside(batch_size), block=self.block)

    def beside(self, batch_size: int) -> float:
        """Bytes needed beside the activations."""
        return self.fixed + 2 * self.inputs * batch_size  # as picked, and laid out for the convolutions

    def fits(self, available: float) -> int:
        """The largest batch that fits in so many bytes, however much is computed again."""
        least = (KEEPS[-1],) * len(self.stages)
        return bisect_right(range(1, MOST), available, key=lambda size: self.needed(size, least))


def estimate(model: nn.Module, example: Tensor, *, precision: Precision = "float32", blocks: bool = True) -> StepMemory:
    """Estimate the memory of a training step of `model` on inputs like `example` (without the batch).

    Args:
        model: the network.
        example: one input, without the batch.
        precision: of the arithmetic.
        blocks: whether it goes in blocks where it can, as on a CPU.

    Example:
        >>> from sharpmin.zoo import build
        >>> memory = estimate(build("C1", seed=0), torch.rand(3, 32, 32))
        >>> memory.chosen(5000, available=16 * 2**30)
        ('all', 'all', 'all', 'all', 'all')
        >>> "products" in memory.chosen(5000, available=3.5 * 2**30)
        True

    """
    inputs = example.numel() * example.element_size()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        if blocks and can_block(model):
            stages = Blocked(model).measured(batch_of(example))  # type: ignore[arg-type]
            return StepMemory(fixed(model), inputs, stages, BLOCK)
        per_example = WORKING * saved_per_example(model, example, blocks=blocks)
    return StepMemory(fixed(model), inputs, (StageMemory(dict.fromkeys(KEEPS, per_example), joined=False),), block=0)


def fixed(model: nn.Module) -> float:
    """Bytes of a step that do not depend on the batch: the gradient, Adam's two moments, workspaces."""
    return WORKSPACE + 3 * weight_bytes(model)


def weight_bytes(model: nn.Module) -> int:
    """Bytes of the weights."""
    return sum(p.numel() * p.element_size() for p in model.parameters())


def saved_per_example(model: nn.Module, example: Tensor, *, blocks: bool = True) -> float:
    """Bytes per example that autograd saves for the backward pass where everything is kept."""
    if blocks and can_block(model):
        return Blocked(model).saved(batch_of(example))  # type: ignore[arg-type]
    model, totals = copy.deepcopy(model), []  # running statistics move
    batches = [batch_of(example, count) for count in (2, 6)]  # a BatchNorm does not train on one
    for some in batches:
        with torch.random.fork_rng(devices=[]), SavedBytes(model.parameters()) as found:
            kept = model(some)
        totals.append(found.total)
        del kept
    return (totals[1] - totals[0]) / (len(batches[1]) - len(batches[0]))


def batch_of(example: Tensor, count: int = 1) -> Tensor:
    """So many of the example, laid out as in training."""
    batch = example.repeat(count, *[1] * example.dim())
    return batch.contiguous(memory_format=torch.channels_last) if batch.dim() == 4 else batch


def memory_on(device: torch.device | str) -> int | None:
    """Bytes that training can use on a device; None where there is no telling."""
    device = torch.device(device)
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_memory()


def check_fits(
    model: nn.Module,
    example: Tensor,
    batch_size: int,
    *,
    device: torch.device | str,
    available: int | None,
    flag: str,
    processes: int = 1,
) -> None:
    """Raise before a training that the device's memory cannot hold, and say what would fit.

    Args:
        model: the network.
        example: one input, without the batch.
        batch_size: examples of a step.
        device: where the training will be; what does not fit is computed again on a CPU only.
        available: bytes that each process can use; None where there is no telling.
        flag: of the command line, that sets the batch size.
        processes: that share a batch out.

    Raises:
        SharpminError: the estimate is above what is available.

    """
    if available is None:
        return
    part, blocks = -(-batch_size // processes), torch.device(device).type == "cpu"
    if fixed(model) + part * WORKING * saved_per_example(model, example, blocks=blocks) <= available:
        return
    memory = estimate(model, example, blocks=blocks)
    needed = memory.needed(part, memory.chosen(part, available))
    if needed > available:
        fits = memory.fits(available) * processes
        raise SharpminError(
            f"out of memory: a batch of {batch_size} needs about {needed / 2**30:.1f} GiB and "
            f"{available / 2**30:.1f} GiB are free{' for each process' if processes > 1 else ''}; "
            + (f"{flag} {fits} would fit" if fits else "no batch would fit: free some memory")
        )
