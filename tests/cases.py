"""Problems with known answers: closed forms in numpy, and networks small enough to check in float64."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sharpmin.data import Examples, Split, synthetic
from sharpmin.paper.jobs import Job
from sharpmin.train_config import TrainConfig
from sharpmin.zoo import conv_block, dense_block

F64 = torch.float64
Module = TypeVar("Module", bound=nn.Module)


def random(*shape: int, seed: int = 0, dtype: torch.dtype = F64) -> Tensor:
    """Standard normal numbers that depend on the seed alone."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64).to(dtype)


def examples(count: int, *shape: int, classes: int = 3, seed: int = 0, dtype: torch.dtype = F64) -> Examples:
    """Gaussian inputs with random classes."""
    generator = torch.Generator().manual_seed(seed + 1)
    return Examples(
        random(count, *shape, seed=seed, dtype=dtype), torch.randint(classes, (count,), generator=generator)
    )


@dataclass(frozen=True)
class Problem:
    """A model and data whose f and gradient have a closed form, written in numpy."""

    model: nn.Module
    data: Examples
    value: Callable[[Tensor], float]
    gradient: Callable[[Tensor], np.ndarray]


def softmax_regression(*, count: int = 23, features: int = 4, classes: int = 3, dtype: torch.dtype = F64) -> Problem:
    """f = mean(log sum_k exp z_k - z_y), z = W x + b; df/dW = (P - Y)^T X / N, df/db = mean(P - Y)."""
    data = examples(count, features, classes=classes, dtype=dtype)
    x, onehot = data.inputs.double().numpy(), np.eye(classes)[data.targets.numpy()]

    def logits(theta: Tensor) -> np.ndarray:
        w, b = np.split(theta.double().numpy(), [classes * features])
        return x @ w.reshape(classes, features).T + b

    def value(theta: Tensor) -> float:
        z = logits(theta)
        return float(np.mean(np.log(np.exp(z).sum(1)) - (z * onehot).sum(1)))

    def gradient(theta: Tensor) -> np.ndarray:
        p = np.exp(logits(theta))
        wrong = p / p.sum(1, keepdims=True) - onehot
        return np.concatenate([(wrong.T @ x).ravel(), wrong.sum(0)]) / count

    return Problem(scrambled(nn.Linear(features, classes), dtype), data, value, gradient)


class Shift(nn.Module):
    """x - w: with `half_square`, f(w) = |w - mean(x)|^2 / 2 + (spread of x) / 2."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(size, dtype=F64))

    def forward(self, x: Tensor) -> Tensor:
        return x - self.w


def half_square(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """|model(x)|^2 / 2 of each example."""
    return model(batch[0]).pow(2).sum(1) / 2


def bowl(size: int = 3, *, count: int = 7) -> Problem:
    """A quadratic f around the mean of the inputs."""
    data = examples(count, size)
    x = data.inputs.numpy()
    centre, spread = x.mean(0), float((x**2).sum(1).mean() - (x.mean(0) ** 2).sum()) / 2
    return Problem(
        Shift(size),
        data,
        lambda theta: float(((theta.numpy() - centre) ** 2).sum() / 2 + spread),
        lambda theta: theta.numpy() - centre,
    )


def shallow(*, dropout: float = 0.0, dtype: torch.dtype = F64) -> nn.Sequential:
    """C1 in small: 2 x 8 x 8 inputs, 3 classes."""
    pools = [nn.MaxPool2d(3, stride=2, padding=1) for _ in range(2)]
    layers = [*conv_block(2, 3, kernel=5), pools[0], *conv_block(3, 4, kernel=3), pools[1], nn.Flatten()]
    return scrambled(nn.Sequential(*layers, *dense_block(16, 5, dropout=dropout), nn.Linear(5, 3)), dtype)


def deep(*, dropout: float = 0.4, dtype: torch.dtype = F64) -> nn.Sequential:
    """C2 in small: dropout between the convolutions of a stack, an odd-sized pool, dropout after Flatten."""
    layers = [*conv_block(2, 3, kernel=3, dropout=dropout), *conv_block(3, 4, kernel=3)]
    layers += [nn.MaxPool2d(2, stride=2, ceil_mode=True), *conv_block(4, 3, kernel=3), nn.Flatten()]
    head = [nn.Dropout(0.5), *dense_block(48, 5, dropout=0.5), nn.Linear(5, 3)]
    return scrambled(nn.Sequential(*layers, *head), dtype)


def scrambled(model: Module, dtype: torch.dtype) -> Module:
    """The model with every weight random: biases, and BatchNorm scales of both signs, included."""
    for seed, parameter in enumerate(model.parameters()):
        parameter.data = random(*parameter.shape, seed=seed)
    return model.to(dtype)


def plain_loss(model: nn.Module, data: Examples, theta: Tensor, *, batch_size: int) -> float:
    """Mean cross-entropy of a copy of the model at theta, in the few lines anyone would write."""
    model = copy.deepcopy(model).eval()
    nn.utils.vector_to_parameters(theta, model.parameters())
    total = 0.0
    with torch.no_grad():
        for x, y in zip(data.inputs.split(batch_size), data.targets.split(batch_size), strict=True):
            total += F.cross_entropy(model(x), y, reduction="sum").item()
    return total / len(data)


def toy(*, train: int = 50, test: int = 20) -> Split:
    """A synthetic split that a small network learns at once."""
    return synthetic(train=train, test=test, shape=(6,), classes=3)


def tiny_job(**settings: Any) -> Job:
    """A parametric plot of `toy()` that takes a second: alphas -1, 0, 1, 2."""
    config = TrainConfig(batch_size=16, epochs=2)
    given = {"small_batch": config, "large_batch": replace(config, batch_size=25), "points": 4, **settings}
    return Job(network="F1", seed=0, **given)


def same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two sets of named tensors are equal bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
