"""What `sharpmin.winograd` gains in training C1, and what it costs in rounding, beside direct convolutions.

    python benchmarks/winograd.py --json FILE [--repeats 9] [--quick]

layer    forward and backward of C1's second convolution, 128 images
step     a training step of C1 on 256 images, as sharpmin takes it: in blocks, with Adam

The two sides take turns in one process, after three turns each that do not count; a ratio pairs two turns of one round.
Errors are those of float32 beside float64, root mean square over root mean square: of the layer's outputs and its
gradients, and of the gradient of C1 without dropout at five starting points. That one jumps where rounding takes a
number across the kink of a ReLU or changes which one a max-pool takes; so it is measured without these, too, the ReLUs
left out and the pools averaging.
"""

import argparse
import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from turns import clocked, shown, summary

from sharpmin import data, runtime, zoo
from sharpmin.blocked import Blocked
from sharpmin.winograd import Winograd

CL = torch.channels_last
SIDES = ("winograd", "direct")
WARM_UP = 3
STARTS = 5
Work = Callable[[str], Any]


def here(side: str, layer: nn.Conv2d, x: Tensor) -> bool:
    """Stands in for `gains`: C1's second convolution is done by the one side and not by the other."""
    return side == "winograd" and layer.training and layer.weight.shape[1:] == (64, 5, 5)


def convolution(side: str, dtype: torch.dtype, images: int) -> list[Tensor]:
    """The outputs of the second convolution, and the gradients of inputs, weights and bias."""
    generator = torch.Generator().manual_seed(0)
    drawn = (torch.randn(shape, generator=generator) for shape in [(images, 64, 16, 16), (64, 64, 5, 5), (64,)] * 2)
    x, w, bias, dy, *_ = (tensor.to(dtype) for tensor in drawn)
    x, w, dy = (tensor.contiguous(memory_format=CL) for tensor in (x.relu_(), 0.05 * w, dy))
    inputs = [tensor.requires_grad_() for tensor in (x, w, bias)]
    y = Winograd.apply(x, w, bias) if side == "winograd" else F.conv2d(x, w, bias, padding=2)
    return [y.detach(), *torch.autograd.grad(y, inputs, dy)]


def network(
    images: int, dtype: torch.dtype, *, seed: int = 0, kinks: bool = True
) -> tuple[nn.Sequential, Blocked, data.Examples]:
    """C1 in training, itself and in blocks, and random images."""
    model = zoo.build("C1", seed=seed).to(dtype).train()
    for i, layer in enumerate(model):
        if not kinks and isinstance(layer, nn.ReLU | nn.MaxPool2d):
            model[i] = nn.Identity() if isinstance(layer, nn.ReLU) else nn.AvgPool2d(3, stride=2, padding=1)
    model.to(memory_format=CL)  # type: ignore[call-overload]
    examples = data.synthetic(train=images, test=1, shape=(3, 32, 32), seed=seed).train
    inputs = examples.inputs.to(dtype).contiguous(memory_format=CL)
    return model, Blocked(model), data.Examples(inputs, examples.targets)


def gradient(side: str, dtype: torch.dtype, images: int, *, seed: int, kinks: bool) -> Tensor:
    """C1's, without dropout."""
    model, blocked, examples = network(images, dtype, seed=seed, kinks=kinks)
    for layer in model:
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    with patch("sharpmin.blocked.gains", lambda layer, x: here(side, layer, x)):
        F.cross_entropy(blocked(examples.inputs), examples.targets).backward()
    return torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])


def stepping(images: int) -> Work:
    """What takes a step."""
    model, blocked, examples = network(images, torch.float32)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def step(side: str) -> None:
        with patch("sharpmin.blocked.gains", lambda layer, x: here(side, layer, x)):
            optimizer.zero_grad()
            F.cross_entropy(blocked(examples.inputs), examples.targets).backward()
            optimizer.step()

    return step


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


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, help="where to write every number")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="a smoke test at tiny sizes")
    asked = parser.parse_args()
    runtime.tune()
    block, batch = (4, 8) if asked.quick else (128, 256)
    starts = [(seed, kinks) for kinks in (True, False) for seed in range(STARTS)]
    names = ("outputs", "gradient of the inputs", "gradient of the weights", "gradient of the bias")
    found = {
        "environment": runtime.environment(device=torch.device("cpu")),
        "quick": asked.quick,
        "errors": {
            **errors(lambda side, dtype: convolution(side, dtype, block), names),
            **errors(
                lambda side, dtype: [gradient(side, dtype, batch, seed=seed, kinks=kinks) for seed, kinks in starts],
                ["gradient of C1" + " without kinks" * (not kinks) + f" at start {seed}" for seed, kinks in starts],
            ),
        },
        "layer": timed(lambda side: convolution(side, torch.float32, block), asked.repeats),
        "step": timed(stepping(batch), asked.repeats),
    }
    for task in ("layer", "step"):
        seconds = found[task]["seconds"]
        times = ", ".join(f"{side} {1e3 * seconds[side]['median']:.0f} ms" for side in SIDES)
        print(f"{task}: {times}; direct takes {shown(found[task]['ratio'])} times as long")
    for name, each in found["errors"].items():
        print(f"error of the {name}: " + ", ".join(f"{side} {each[side]:.1e}" for side in SIDES))
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
