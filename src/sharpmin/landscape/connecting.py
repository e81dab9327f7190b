"""The training of a curve of low loss: stochastic gradients of E f(phi(t)), passed on to the bends alone.

One epoch is one pass over the data in random order. All of its randomness, the order and the t of each batch, comes
from (seed, epoch): training may stop after any epoch and go on later, in another process, to the same bits.

f is the objective's own, without dropout. BatchNorm normalises with the batch of training, as in Garipov et al. 2018;
where f is to be evaluated with statistics estimated at each point ("recalibrate"), that is for the evaluation.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import ceil, isfinite

import numpy as np
import torch
from torch import Tensor

from sharpmin.batching import Pair, Shuffled
from sharpmin.errors import DivergedError, UsageError
from sharpmin.landscape.curves import (
    Curve,
    CurveConfig,
    CurveState,
    check,
    check_statistics,
    coefficients,
    evaluate_curve,
    point,
    straight,
    training_policy,
)
from sharpmin.objective import Objective
from sharpmin.passes import drawing
from sharpmin.progress import Progress, silent


def connect(
    objective: Objective,
    theta_a: Tensor,
    theta_b: Tensor,
    config: CurveConfig | None = None,
    *,
    points: int = 25,
    progress: Progress = silent,
) -> Curve:
    """Train a curve of low loss from theta_a to theta_b and evaluate it beside the straight line.

    Args:
        objective: f.
        theta_a: the first end, [n], kept bit for bit.
        theta_b: the last end, [n], kept bit for bit.
        config: kind, bends, epochs, batch size, solver, learning rate, seed.
        points: evenly spaced values of t to evaluate at.
        progress: told the epochs and the points done.

    Returns:
        The bends, the losses along the curve and along the line, and how they were found.

    Raises:
        UsageError: ends of different sizes, settings that train nothing, the running statistics of BatchNorm.
        DivergedError: the loss of a batch was not finite.

    Example:
        >>> from torch import nn
        >>> from sharpmin import data
        >>> toy = data.synthetic(train=64, test=16, shape=(4,), classes=3)
        >>> f = Objective(nn.Linear(4, 3), toy.train)
        >>> curve = connect(f, f.theta, f.theta + 1, CurveConfig(epochs=2, batch_size=16), points=5)
        >>> curve.losses[0] == f.value(f.theta), curve.barrier.height <= curve.line_barrier.height
        (True, True)

    Source: Garipov et al. 2018, section 3.

    """
    config = config or CurveConfig()
    state = train_curve(objective, theta_a, theta_b, config, progress=progress)
    return evaluate_curve(objective, theta_a, theta_b, state, config, points=points, progress=progress)


def train_curve(
    objective: Objective,
    theta_a: Tensor,
    theta_b: Tensor,
    config: CurveConfig,
    *,
    state: CurveState | None = None,
    after_epoch: Callable[[CurveState], None] | None = None,
    progress: Progress = silent,
) -> CurveState:
    """Train the bends of a curve, from the straight line or from where an earlier call was interrupted.

    Args:
        objective: f.
        theta_a: the first end, [n].
        theta_b: the last end, [n].
        config: kind, bends, epochs, batch size, solver, learning rate, seed.
        state: of an earlier call with the same arguments; the result is then the same, bit for bit, as that of one
            uninterrupted call.
        after_epoch: called with the state after each epoch, e.g. to save it.
        progress: told the epochs done.

    Returns:
        The state after the last epoch.

    Raises:
        UsageError: ends of different sizes, settings that train nothing, the running statistics of BatchNorm.
        DivergedError: the loss of a batch was not finite; `after_epoch` has seen the last good state.

    Source: Garipov et al. 2018, equation 2.

    """
    check(config)
    check_statistics(objective)
    state = state or CurveState(straight(theta_a, theta_b, bends=config.bends), {})
    state = replace(state, bends=state.bends.to(objective.device))
    bends = state.bends.clone()
    solver = restored(bends, config, state)
    ends = theta_a.to(bends), theta_b.to(bends)
    while state.epochs < config.epochs:
        began = time.perf_counter()
        loss = train_epoch(objective, *ends, bends, solver, config, epoch=state.epochs)
        moments = {name: value.clone() for name, value in solver.state[bends].items()}
        spent = state.seconds + time.perf_counter() - began
        state = CurveState(bends.clone(), moments, (*state.losses, loss), spent)
        progress("train curve", state.epochs, config.epochs, unit="epochs", note=f"mean loss {loss:.4f}")
        if after_epoch is not None:
            after_epoch(state)
    return state


def train_epoch(
    objective: Objective,
    theta_a: Tensor,
    theta_b: Tensor,
    bends: Tensor,
    solver: torch.optim.Optimizer,
    config: CurveConfig,
    *,
    epoch: int,
) -> float:
    """One pass over the shuffled data, a step for each batch; the mean loss of the batches' examples."""
    order, places, noise = np.random.SeedSequence([config.seed, epoch]).generate_state(3, np.uint64).tolist()
    f = shuffled(objective, config.batch_size, seed=order)
    solver.param_groups[0]["lr"] = config.learning_rate * decay(epoch / config.epochs)
    total, examples = 0.0, 0
    for t, (random, batch) in zip(uniform(seed=places), drawing(f.batches(), f.device, seed=noise), strict=False):
        with random:
            loss, count, gradient = slope(f, point(config.kind, theta_a, bends, theta_b, t), batch)
        if not isfinite(loss):
            raise DivergedError(
                f"the loss became {loss} at t = {t:.3f} in epoch {epoch + 1}; the state after epoch {epoch} is kept: "
                f"lower the learning rate ({config.learning_rate:g})"
            )
        _, *inner, _ = coefficients(config.kind, t, bends=len(bends))
        bends.grad = torch.stack([weight * gradient for weight in inner])
        solver.step()
        total, examples = total + loss * count, examples + count
    if not examples:
        raise UsageError("the data gave no examples to train the curve with")
    return total / examples


def slope(f: Objective, theta: Tensor, batch: object) -> tuple[float, int, Tensor]:
    """Mean loss of a batch at theta, its examples, and the gradient [n]."""
    pieces = {name: piece.requires_grad_() for name, piece in f.pieces(theta).items()}
    found, gradient = f.gradient(f.at(pieces), list(pieces.values()), batch)
    examples = max(found.examples, 1)  # a batch may have none that counts
    return found.total.item() / examples, found.examples, gradient.div_(examples)


def shuffled(objective: Objective, batch_size: int, *, seed: int) -> Objective:
    """The f to train with: over tensors in random order, in batches as equal as can be; an iterable as it comes."""
    f = objective.with_buffers({}, batch_norm=training_policy(objective))
    if not isinstance(f.data, Pair):
        return f
    count = len(f.data.inputs)
    size = ceil(count / ceil(count / batch_size))
    return f.over(Shuffled(f.data, count, seed=seed), batch_size=size)


def uniform(*, seed: int) -> Iterator[float]:
    """Numbers from [0, 1), without end."""
    generator = np.random.default_rng(seed)
    while True:
        yield generator.random()


def decay(done: float) -> float:
    """The learning rate's factor after this share of the epochs: 1, and from a half to nine tenths down to 0.01.

    Example:
        >>> decay(0.5), round(decay(0.7), 3), decay(0.95)
        (1.0, 0.505, 0.01)

    """
    return min(1.0, max(0.01, 1 - 0.99 * (done - 0.5) / 0.4))


def restored(bends: Tensor, config: CurveConfig, state: CurveState) -> torch.optim.Optimizer:
    """The solver for these bends, its moments those of the state."""
    solver: torch.optim.Optimizer
    if config.solver == "adam":
        solver = torch.optim.Adam([bends], lr=config.learning_rate)
    else:
        solver = torch.optim.SGD([bends], lr=config.learning_rate, momentum=0.9)
    if state.moments:
        for name, value in state.moments.items():
            solver.state[bends][name] = value.to(bends.device if value.dim() else "cpu", copy=True)  # a count stays
    return solver
