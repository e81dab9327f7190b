"""Train a network with mini-batches: one loop for small ones and large ones, and for full-batch descent.

Adam as in the paper, or another optimizer (`sharpmin.optimizers`); the data shuffled anew each epoch and the ragged
last batch kept; remedies where the configuration has them. All randomness of an epoch (its shuffle, its dropout, its
augmentation) comes from (seed, epoch), so the loop may stop after any epoch and go on later, in another process, to the
same bits.

Several processes make the steps of one: each takes its part of every batch, BatchNorm takes the statistics of the whole
batch, and the gradients are summed before the optimizer moves. Only dropout differs: every process draws its own masks.
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from sharpmin.arithmetic import check_precision
from sharpmin.data import Examples
from sharpmin.distributed.agreement import check_alike
from sharpmin.distributed.group import ALONE, Group
from sharpmin.errors import DivergedError, UsageError
from sharpmin.history import Epoch, State, ended
from sharpmin.network import only_device
from sharpmin.objective import Objective
from sharpmin.optim.blocks import all_finite
from sharpmin.optimizers import make, moments_of, named_copies, restore
from sharpmin.progress import Progress, silent
from sharpmin.recorded import Recorded, Step, can_record
from sharpmin.remedies.augmentation import draw, move
from sharpmin.remedies.composition import gradient_of
from sharpmin.remedies.conservative import Conservative, copied, pull_back, trained
from sharpmin.remedies.ghost import check_norms
from sharpmin.remedies.gradient import Gradient
from sharpmin.runtime import resolve_device
from sharpmin.train_config import TrainConfig, check

ROWS = 1000  # inputs that tell whether the processes have the same data
REPORT_EVERY = 0.5  # seconds between two looks at the running loss (on a GPU each look waits for it)


def train(
    model: nn.Module,
    data: Examples,
    config: TrainConfig,
    *,
    test: Examples | None = None,
    state: State | None = None,
    device: torch.device | str | None = None,
    after_epoch: Callable[[State], None] | None = None,
    after_step: Callable[[int], object] | None = None,
    progress: Progress = silent,
    label: str = "train",
    group: Group = ALONE,
) -> State:
    """Train a classifier from its present weights, or go on from a state, and return the final state.

    The model ends with the trained weights, in training mode, on the device; the caller's random state is left
    as it was.

    Args:
        model: gives logits [B, classes].
        data: the training set.
        config: batch size, epochs, learning rate, seed, precision.
        test: evaluated after each epoch where given, with BatchNorm's running statistics where it keeps some.
        state: of an earlier call with the same model, data and config; the result is then the same, bit for
            bit, as that of one uninterrupted call.
        device: where to train, "auto" for the GPU where there is one; by default where the model is.
        after_epoch: called with the state after each epoch, e.g. to save it.
        after_step: called with the number of steps done, after each, while the model holds its weights; what it takes
            is in the epoch's seconds.
        progress: told the number of examples done.
        label: the task's name in `progress`.
        group: processes that share every batch out; each is called with the same arguments.

    Returns:
        The state after the last epoch.

    Raises:
        UsageError: a batch larger than the data, or a number below 1; a target below 0; a network with BatchNorm that
            several processes cannot train together; a device that is not here.
        RunError: the processes have different weights or data; an optimizer that draws random numbers, say.
        DivergedError: the loss is not finite; `after_epoch` has seen the last good state.

    Example:
        >>> from sharpmin import data, zoo
        >>> toy = data.synthetic(train=64, test=16, shape=(8,), classes=3)
        >>> network = zoo.build("F1", seed=0, shape=(8,), classes=3)
        >>> train(network, toy.train, TrainConfig(batch_size=16, epochs=2)).epochs
        2

    Source: Keskar et al. 2017, section 2.2; Kingma and Ba 2015, algorithm 1.

    """
    check(config, examples=len(data), shape=data.inputs.shape[1:])
    device = resolve_device(str(only_device(model) if device is None else device))
    check_precision(config.precision, device)
    if config.ghost_batch_norm is not None:
        check_norms(model)
    check_targets(data.targets)
    state = state or State(named_copies(model))
    model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make(config.optimizer, model, learning_rate=config.learning_rate, momentum=config.momentum)
    restore(model, optimizer, weights=state.weights, moments=state.moments)
    data = Examples(data.inputs.to(device), data.targets.to(device))
    gradient = gradient_of(model, config, device=data.inputs.device, group=group)
    check_alike(group, weights=model.parameters(), data=(data.inputs[:ROWS], data.targets))
    tester = None if test is None else Objective(model, test, batch_norm="running", device=device, group=group)
    take_step: Step = partial(train_step, model, data, gradient, optimizer, conservative=config.conservative)
    if can_record(model, config, device=data.inputs.device, group=group):
        take_step = Recorded(take_step, size=config.batch_size)
    while state.epochs < config.epochs and not ended(config, state.history):
        number = state.epochs + 1
        began = time.perf_counter()
        loss, accuracy = train_epoch(
            model,
            data,
            optimizer,
            config,
            take_step=take_step,
            epoch=number,
            after_step=after_step,
            progress=progress,
            label=label,
            group=group,
        )
        seconds = time.perf_counter() - began
        tested = None if tester is None else tester.measure(tester.theta)
        line = Epoch(
            number,
            loss,
            accuracy,
            None if tested is None else tested.loss,
            None if tested is None else tested.accuracy,
            seconds,
        )
        check_alike(group, **{f"weights after epoch {number}": model.parameters()})
        state = State(named_copies(model), moments_of(model, optimizer), (*state.history, line))
        if after_epoch is not None:
            after_epoch(state)
    return state


def train_epoch(
    model: nn.Module,
    data: Examples,
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    *,
    take_step: Step,
    epoch: int,
    after_step: Callable[[int], object] | None,
    progress: Progress,
    label: str,
    group: Group = ALONE,
) -> tuple[float, float]:
    """One pass over the shuffled data; mean loss and accuracy as trained."""
    device, size = data.inputs.device, config.batch_of(epoch)
    before, steps = config.steps_until(epoch - 1, examples=len(data)), -(-len(data) // size)
    views = views_of(config, data, epoch=epoch)
    model.train()
    losses, hits = torch.zeros(steps, device=device), torch.zeros((), dtype=torch.int64, device=device)
    looked = time.perf_counter()
    with seeded(config.seed, epoch, device=device, rank=group.rank) as generator:
        order = torch.randperm(len(data), generator=generator).to(device)
        for step, picked in enumerate(order.split(size)):
            if config.warm_up is not None:
                set_rate(optimizer, config.rate_of(before + step, examples=len(data)))
            loss, hit = take_step(picked, views)
            losses[step] = loss * len(picked)
            hits += hit
            if after_step is not None:
                after_step(before + step + 1)
            if time.perf_counter() - looked > REPORT_EVERY or step == steps - 1:
                check_finite(losses[: step + 1], config, epoch=epoch)
                done = (epoch - 1) * len(data) + step * size + len(picked)
                note = f"epoch {epoch}, loss {losses[step].item() / len(picked):.4f}"
                progress(label, done, config.epochs * len(data), unit="images", note=note)
                looked = time.perf_counter()
    if not all(all_finite(p) for p in model.parameters()):
        raise diverged("a weight became infinite or NaN", config, epoch=epoch, step=steps)
    return losses.sum(dtype=torch.float64).item() / len(data), hits.item() / len(data)


def views_of(config: TrainConfig, data: Examples, *, epoch: int) -> Tensor | None:
    """How each example is moved in an epoch, where it is."""
    if config.augmentation is None:
        return None
    return draw(config.augmentation, len(data), seed=config.seed, epoch=epoch).to(data.inputs)


def batch(data: Examples, picked: Tensor, views: Tensor | None) -> tuple[Tensor, Tensor]:
    """Inputs and targets of the examples picked; nothing waits for a GPU, where all of them are."""
    inputs = data.inputs[picked]
    return inputs if views is None else move(inputs, views[picked]), data.targets[picked]


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def train_step(
    model: nn.Module,
    data: Examples,
    gradient: Gradient,
    optimizer: torch.optim.Optimizer,
    picked: Tensor,
    views: Tensor | None = None,
    *,
    conservative: Conservative | None = None,
) -> tuple[Tensor, Tensor]:
    """One step of the optimizer on the examples picked, or several near the first.

    Gives the mean loss and the number of hits before it, on the device.
    """
    inputs, targets = batch(data, picked, views)
    weights = [] if conservative is None else trained(model)
    start, found = copied(weights), []
    for _ in range(1 if conservative is None else conservative.iterations):
        optimizer.zero_grad()
        found.append(gradient(inputs, targets))
        if conservative is not None:
            pull_back(weights, start, strength=conservative.strength)
        optimizer.step()
    return found[0]


class seeded:
    """Seed dropout's global random state for one epoch and give a generator for its shuffle; restore after.

    The shuffle is every rank's, the masks of dropout are its own.
    """

    def __init__(self, seed: int, epoch: int, *, device: torch.device, rank: int = 0) -> None:
        self.shuffle, self.dropout = np.random.SeedSequence([seed, epoch]).generate_state(2, np.uint64).tolist()
        if rank:
            self.dropout = int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1, np.uint64)[0])
        self.fork = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])

    def __enter__(self) -> torch.Generator:
        self.fork.__enter__()
        torch.manual_seed(self.dropout)
        return torch.Generator().manual_seed(self.shuffle)

    def __exit__(self, *error: object) -> None:
        self.fork.__exit__(*error)  # type: ignore[arg-type]


def check_targets(targets: Tensor) -> None:
    """Raise a UsageError for a target that is no class, such as the -100 that cross-entropy leaves out."""
    if bool((targets < 0).any()):
        raise UsageError(f"a target is {int(targets.min())}: leave out the examples that have no class, 0 or above")


def check_finite(losses: Tensor, config: TrainConfig, *, epoch: int) -> None:
    """Raise a DivergedError that names the first step whose loss is NaN or infinite."""
    bad = (~torch.isfinite(losses)).nonzero()
    if len(bad):
        first = int(bad[0, 0])
        raise diverged(f"the loss became {losses[first].item()}", config, epoch=epoch, step=first + 1)


def diverged(what: str, config: TrainConfig, *, epoch: int, step: int) -> DivergedError:
    """The error that says when it happened and what to do."""
    return DivergedError(
        f"{what} at epoch {epoch}, step {step} (batch {config.batch_size}, learning rate {config.learning_rate:g}); "
        f"the state after epoch {epoch - 1} is kept: lower the learning rate, or train in float32"
    )
