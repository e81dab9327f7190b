"""What `sharpmin.winograd` gains on C1 or C2, and what it costs in rounding, beside direct convolutions.

    python benchmarks/winograd.py --json FILE [--network C2] [--repeats 9] [--quick]

layer       forward and backward of C1's second convolution, or of C2's fourth, 128 images
step        a training step on 256 images, as sharpmin takes it: in blocks, with Adam
value       f on 1000 images (C2: 256), one batch, without its gradient
gradient    f and its gradient there

The two sides take turns in one process, after three turns each that do not count; a ratio pairs two turns of one round.
Errors are those of float32 beside float64: of the layer's outputs and its gradients, root mean square over root mean
square; of f and its gradient, on 256 images (C2: 64), at five starting points and where 40 and 80 steps of Adam led
from each. The gradient jumps where rounding takes a number across the kink of a ReLU or changes which one a max-pool
takes; so it is measured at the starting points without these, too, the ReLUs left out and the pools averaging.
"""

import argparse
import copy
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from turns import clocked, shown, summary

from sharpmin import data, runtime, zoo
from sharpmin.blocked import Blocked
from sharpmin.objective import Objective
from sharpmin.winograd import CHANNELS, OUTPUTS, Winograd

CL = torch.channels_last
SIDES = ("winograd", "direct")
WARM_UP = 3
STARTS = 5
STEPS = (0, 40, 80)  # after which f is measured
LEARNING_RATE = 1e-3
Work = Callable[[str], Any]


@dataclass(frozen=True)
class Case:
    """A network, one of its layers, and how many images are used.

    Attributes:
        channels: of the layer, in and out.
        taps: of the layer, along each axis.
        images: of the value and the gradient that are timed.
        few: images of those whose errors are measured.

    """

    channels: int
    taps: int
    images: int
    few: int


CASES = {"C1": Case(64, 5, images=1000, few=256), "C2": Case(128, 3, images=256, few=64)}


def here(side: str, layer: nn.Conv2d, x: Tensor) -> bool:
    """Stands in for `gains`, on any processor: what could go by Winograd's algorithm does on one side only."""
    able = min(layer.in_channels, layer.out_channels) >= CHANNELS and not any(size % OUTPUTS for size in x.shape[2:])
    return able and side == "winograd"


def going_by(side: str) -> Any:
    """While it lasts, convolutions go by this side."""
    return patch("sharpmin.blocked.gains", lambda layer, x: here(side, layer, x))


def convolution(side: str, dtype: torch.dtype, case: Case, images: int) -> list[Tensor]:
    """The outputs of a layer on images of 16 x 16, and the gradients of inputs, weights and bias."""
    generator, k, taps = torch.Generator().manual_seed(0), case.channels, case.taps
    shapes = [(images, k, 16, 16), (k, k, taps, taps), (k,), (images, k, 16, 16)]
    x, w, bias, dy = (torch.randn(shape, generator=generator).to(dtype) for shape in shapes)
    x, w, dy = (tensor.contiguous(memory_format=CL) for tensor in (x.relu_(), 0.05 * w, dy))
    inputs = [tensor.requires_grad_() for tensor in (x, w, bias)]
    y = Winograd.apply(x, w, bias) if side == "winograd" else F.conv2d(x, w, bias, padding=taps // 2)
    return [y.detach(), *torch.autograd.grad(y, inputs, dy)]


@cache
def start(network: str, seed: int, kinks: bool, images: int) -> tuple[nn.Sequential, data.Examples]:
    """The network at a starting point, and random images for it."""
    model = zoo.build(network, seed=seed)
    for i, layer in enumerate(model):
        if isinstance(layer, nn.ReLU) and not kinks:
            model[i] = nn.Identity()
        elif isinstance(layer, nn.MaxPool2d) and not kinks:
            model[i] = nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode)
    return model, data.synthetic(train=images, test=1, shape=(3, 32, 32), seed=seed).train


def stepping(model: nn.Sequential, images: Tensor, targets: Tensor) -> Work:
    """What takes a step of Adam."""
    model.train().to(memory_format=CL)  # type: ignore[call-overload]
    blocked, optimizer = Blocked(model), torch.optim.Adam(model.parameters(), LEARNING_RATE, fused=True)
    laid_out = images.contiguous(memory_format=CL)

    def step(side: str) -> None:
        with going_by(side):
            optimizer.zero_grad()
            F.cross_entropy(blocked(laid_out), targets).backward()
            optimizer.step()

    return step


@cache
def after(steps: int, network: str, seed: int, images: int) -> nn.Sequential:
    """The network that many steps from its starting point, by direct convolutions; the images are one batch."""
    model, examples = start(network, seed, True, images)
    model = copy.deepcopy(model)
    step = stepping(model, examples.inputs, examples.targets)
    torch.manual_seed(0)  # of dropout
    for _ in range(steps):
        step("direct")
    return model


def objective(model: nn.Sequential, examples: data.Examples, dtype: torch.dtype) -> Objective:
    """What is measured of a copy of the model in this dtype."""
    own = copy.deepcopy(model).to(dtype)
    return Objective(own, data.Examples(examples.inputs.to(dtype), examples.targets), batch_norm="batch")


def value_and_gradient(side: str, dtype: torch.dtype, model: nn.Sequential, examples: data.Examples) -> list[Tensor]:
    """Both, as tensors."""
    f = objective(model, examples, dtype)
    with going_by(side):
        value, gradient = f.value_and_grad(f.theta)
    return [torch.tensor(value, dtype=torch.float64), gradient]


def timed(work: Work, repeats: int) -> dict[str, Any]:
    """Seconds of both sides, and their ratio."""
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    for _ in range(WARM_UP + repeats):
        for side in SIDES:
            seconds[side].append(clocked(partial(work, side))[1])
    ours, direct = (seconds[side][WARM_UP:] for side in SIDES)
    ratio = summary(b / a for a, b in zip(ours, direct, strict=True))
    return {"seconds": {"winograd": summary(ours), "direct": summary(direct)}, "ratio": ratio}


def errors(found: Callable[[str, torch.dtype], Iterable[Tensor]], names: Iterable[str]) -> dict[str, dict[str, float]]:
    """Of each result on both sides in float32, beside the direct one in float64."""
    exact = list(found("direct", torch.float64))
    pairs = {side: zip(found(side, torch.float32), exact, strict=True) for side in SIDES}
    each = {side: [rms(a - b) / rms(b) for a, b in own] for side, own in pairs.items()}
    return {name: {side: each[side][i] for side in SIDES} for i, name in enumerate(names)}


def rms(tensor: Tensor) -> float:
    """The root mean square."""
    return tensor.double().square().mean().sqrt().item()


def errors_of_f(network: str, images: int) -> dict[str, dict[str, float]]:
    """Of f and of its gradient at and after the starting points."""
    found = {}
    for steps, seed in product(STEPS, range(STARTS)):
        model, (_, examples) = after(steps, network, seed, images), start(network, seed, True, images)
        at = f" at start {seed}" + f" after {steps} steps" * bool(steps)
        find = partial(value_and_gradient, model=model, examples=examples)
        found.update(errors(find, (f"value{at}", f"gradient{at}")))
    for seed in range(STARTS):
        model, examples = start(network, seed, False, images)
        find = partial(value_and_gradient, model=model, examples=examples)
        found.update(errors(find, (f"value without kinks at start {seed}", f"gradient without kinks at start {seed}")))
    return found


def evaluating(network: str, images: int) -> tuple[Work, Work]:
    """What gives f, and what gives it with its gradient."""
    f = objective(*start(network, 0, True, images), torch.float32)

    def value(side: str) -> float:
        with going_by(side):
            return f.value(f.theta)

    def gradient(side: str) -> Tensor:
        with going_by(side):
            return f.value_and_grad(f.theta)[1]

    return value, gradient


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, help="where to write every number")
    parser.add_argument("--network", choices=CASES, default="C1")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="a smoke test at tiny sizes")
    asked = parser.parse_args()
    runtime.tune()
    network, case = asked.network, CASES[asked.network]
    block, batch, images, few = (4, 8, 16, 8) if asked.quick else (128, 256, case.images, case.few)
    names = ("outputs", "gradient of the inputs", "gradient of the weights", "gradient of the bias")
    model, examples = start(network, 0, True, batch)
    value, gradient = evaluating(network, images)
    works = {
        "layer": lambda side: convolution(side, torch.float32, case, block),
        "step": stepping(copy.deepcopy(model), examples.inputs, examples.targets),
        "value": value,
        "gradient": gradient,
    }
    found = {
        "environment": runtime.environment(device=torch.device("cpu")),
        "network": network,
        "quick": asked.quick,
        "errors_of_layer": errors(lambda side, dtype: convolution(side, dtype, case, block), names),
        "errors_of_f": errors_of_f(network, few),
        **{task: timed(work, asked.repeats) for task, work in works.items()},
    }
    for task in works:
        seconds = found[task]["seconds"]
        times = ", ".join(f"{side} {1e3 * seconds[side]['median']:.0f} ms" for side in SIDES)
        print(f"{task}: {times}; direct takes {shown(found[task]['ratio'])} times as long")
    for name, each in (found["errors_of_layer"] | found["errors_of_f"]).items():
        print(f"error of the {name}: " + ", ".join(f"{side} {each[side]:.1e}" for side in SIDES))
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
