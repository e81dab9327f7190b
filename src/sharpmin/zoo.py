"""The paper's networks F1, F2, C1-C4, as plain functions that return an `nn.Sequential`.

Table 1 and appendix B of Keskar et al. 2017, with the details (padding, dropout, order of the layers) of the
authors' `network_zoo.py`. Their BatchNorm is Keras 1's `mode=2`: it normalises with the statistics of the
batch at hand in training *and* in evaluation and keeps no running averages, which in PyTorch is
`track_running_stats=False`. The final softmax lives in the loss (cross-entropy on logits).

Each function takes the shape of the input and the number of classes; `build` gives a network by its name
with the Keras-1 starting point: Glorot-uniform weights, zero biases.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import signature

import torch
from torch import nn

from sharpmin.errors import UsageError

BATCH_NORM_EPSILON = 1e-3  # Keras 1


def dense_block(inputs: int, outputs: int, *, dropout: float = 0.0) -> list[nn.Module]:
    """Dense, BatchNorm, ReLU and, where asked, dropout."""
    norm = nn.BatchNorm1d(outputs, eps=BATCH_NORM_EPSILON, track_running_stats=False)
    layers = [nn.Linear(inputs, outputs), norm, nn.ReLU()]
    return [*layers, nn.Dropout(dropout)] if dropout else layers


def conv_block(inputs: int, outputs: int, *, kernel: int, dropout: float = 0.0) -> list[nn.Module]:
    """Convolution with 'same' padding, BatchNorm, ReLU and, where asked, dropout."""
    norm = nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPSILON, track_running_stats=False)
    layers = [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), norm, nn.ReLU()]
    return [*layers, nn.Dropout(dropout)] if dropout else layers


def fully_connected(inputs: int, classes: int, *, hidden: int) -> nn.Sequential:
    """`hidden` batch-normalised ReLU layers of 512 units (F1: five, F2: seven)."""
    layers: list[nn.Module] = [nn.Flatten()]
    for layer in range(hidden):
        layers += dense_block(512 if layer else inputs, 512)
    return nn.Sequential(*layers, nn.Linear(512, classes))


def shallow(shape: Sequence[int], classes: int) -> nn.Sequential:
    """C1 and C3: two 5x5 convolutions of 64 filters, then dense 384 and 192."""
    channels, height, width = shape
    pool = lambda: nn.MaxPool2d(3, stride=2, padding=1)  # noqa: E731  Keras-1 'same'
    pooled = (-(-height // 4)) * (-(-width // 4))
    return nn.Sequential(
        *conv_block(channels, 64, kernel=5),
        pool(),
        *conv_block(64, 64, kernel=5),
        pool(),
        nn.Flatten(),
        *dense_block(64 * pooled, 384, dropout=0.5),
        *dense_block(384, 192, dropout=0.5),
        nn.Linear(192, classes),
    )


def deep(shape: Sequence[int], classes: int) -> nn.Sequential:
    """C2 and C4: VGG-like stacks of 3x3 convolutions, dropout between the convolutions of a stack."""
    channels, height, width = shape
    layers: list[nn.Module] = []
    for filters, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for i in range(count):
            between = 0.0 if i == count - 1 else (0.3 if filters == 64 else 0.4)
            layers += conv_block(channels, filters, kernel=3, dropout=between)
            channels = filters
        layers.append(nn.MaxPool2d(2, stride=2, ceil_mode=True))
        height, width = -(-height // 2), -(-width // 2)
    head = [nn.Flatten(), nn.Dropout(0.5), *dense_block(512 * height * width, 512, dropout=0.5)]
    return nn.Sequential(*layers, *head, nn.Linear(512, classes))


def F1(shape: Sequence[int] = (1, 28, 28), classes: int = 10) -> nn.Sequential:
    """Fully connected on MNIST: 784 inputs, five layers of 512."""
    return fully_connected(torch.Size(shape).numel(), classes, hidden=5)


def F2(shape: Sequence[int] = (360,), classes: int = 1973) -> nn.Sequential:
    """Fully connected on speech frames (TIMIT): 360 inputs, seven layers of 512, 1973 states."""
    return fully_connected(torch.Size(shape).numel(), classes, hidden=7)


def C1(shape: Sequence[int] = (3, 32, 32), classes: int = 10) -> nn.Sequential:
    """Shallow convolutional network on CIFAR-10 (1 757 834 weights)."""
    return shallow(shape, classes)


def C2(shape: Sequence[int] = (3, 32, 32), classes: int = 10) -> nn.Sequential:
    """Deep convolutional network on CIFAR-10."""
    return deep(shape, classes)


def C3(shape: Sequence[int] = (3, 32, 32), classes: int = 100) -> nn.Sequential:
    """Shallow convolutional network on CIFAR-100."""
    return shallow(shape, classes)


def C4(shape: Sequence[int] = (3, 32, 32), classes: int = 100) -> nn.Sequential:
    """Deep convolutional network on CIFAR-100."""
    return deep(shape, classes)


@dataclass(frozen=True)
class Interface:
    """What a network takes and gives: the shape of one input, and the number of classes."""

    shape: tuple[int, ...]
    classes: int


def default_interface(name: str) -> Interface:
    """The shape and classes the paper uses a network with."""
    defaults = signature(NETWORKS[name]).parameters
    return Interface(tuple(defaults["shape"].default), defaults["classes"].default)


NETWORKS: dict[str, Callable[..., nn.Sequential]] = {f.__name__: f for f in (F1, F2, C1, C2, C3, C4)}


def build(name: str, *, seed: int, shape: Sequence[int] | None = None, classes: int | None = None) -> nn.Sequential:
    """Build a network of the paper at a Keras-1 starting point.

    Weights are uniform on (-a, a) with a = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010), biases 0,
    BatchNorm scale 1 and shift 0. The starting point depends on `seed` alone; the caller's random state is
    left as it was.

    Args:
        name: one of `NETWORKS`.
        seed: of the starting point x0.
        shape: of one input, without the batch; by default the paper's.
        classes: number of outputs; by default the paper's.

    Returns:
        The network, in training mode, float32, on the CPU.

    Raises:
        UsageError: `name` is not a network of the paper.

    Example:
        >>> sum(p.numel() for p in build("C1", seed=0).parameters())
        1757834

    """
    if name not in NETWORKS:
        raise UsageError(f"unknown network {name!r}: choose one of {', '.join(NETWORKS)}")
    given = {"shape": shape, "classes": classes}
    with torch.random.fork_rng(devices=[]):
        model = NETWORKS[name](**{key: value for key, value in given.items() if value is not None})
    glorot_uniform_(model, generator=torch.Generator().manual_seed(seed))
    return model


@torch.no_grad()
def glorot_uniform_(model: nn.Module, *, generator: torch.Generator) -> None:
    """Set every convolution and dense layer to Glorot-uniform weights and zero biases, in place."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
