"""Networks with permutable units, in float64 and with every number random: F1 and C1 in small, and a residual one."""

import torch
from torch import Tensor, nn

from cases import F64, random, scrambled, shallow
from sharpmin.alignment import Space


def dense() -> nn.Sequential:
    """F1 in small, its BatchNorm with running statistics."""
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs in (6, 12, 12):
        layers += [nn.Linear(inputs, 12), nn.BatchNorm1d(12), nn.ReLU()]
    return ready(nn.Sequential(*layers, nn.Linear(12, 3)))


class Block(nn.Module):
    """Two convolutions and a shortcut: the identity, or a projection."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        stride = 1 if inputs == outputs else 2
        self.first, self.norm = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.second, self.last = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        project = (nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = nn.Identity() if inputs == outputs else nn.Sequential(*project)

    def forward(self, x: Tensor) -> Tensor:
        found = self.last(self.second(torch.relu(self.norm(self.first(x)))))
        found += self.shortcut(x)
        return found.relu()


class Residual(nn.Module):
    """A stem, two blocks with identity shortcuts and one with a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.blocks = nn.Sequential(Block(8, 8), Block(8, 8), Block(8, 10))
        self.head = nn.Linear(10, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def ready(model: nn.Module) -> nn.Module:
    """The model with random statistics too, in float64 and evaluation mode."""
    scrambled(model, F64)
    for seed, (name, buffer) in enumerate(model.named_buffers()):
        if buffer.is_floating_point():
            buffer.copy_(random(*buffer.shape, seed=100 + seed).abs() + 0.5 * name.endswith("var"))
    return model.eval()


NETWORKS = {
    "dense": (dense, (6,)),
    "convolutional": (lambda: ready(shallow(dropout=0.3)), (2, 8, 8)),
    "residual": (lambda: ready(Residual()), (2, 8, 8)),
}


def shuffles(spaces: tuple[Space, ...], *, seed: int = 0) -> dict[str, Tensor]:
    """A random permutation of each space."""
    generator = torch.Generator().manual_seed(seed)
    return {space.name: torch.randperm(space.size, generator=generator) for space in spaces}


def copied(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the state dict."""
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}
