"""A residual network with BatchNorm on Fashion-MNIST, trained with small and with large batches, then measured.

    python examples/residual.py       # trains; writes residual/small.pt and residual/large.pt
    sharpmin compare examples/residual.py:make residual/small.pt residual/large.pt
    sharpmin path examples/residual.py:make residual/small.pt residual/large.pt --batch-norm recalibrate

Everything but `make` is training code as anyone has it. With EXAMPLE_DATA=tiny in the environment there are a few
made-up images, so that it runs anywhere at once; set it for sharpmin as well, because `make` reads it too.
"""

import argparse
import os
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from sharpmin import data
from sharpmin.tasks import Task


class Block(nn.Module):
    """Two convolutions with BatchNorm beside a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Conv2d(channels_in, channels, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels_in, H, W] -> [B, channels, H / stride, W / stride]."""
        inner = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(inner)) + self.shortcut(x))


class ResidualNetwork(nn.Module):
    """Three blocks, global average pooling and a linear layer: 79 000 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Block(1, 16, stride=2), Block(16, 32, stride=2), Block(32, 64, stride=2))
        self.head = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 1, 28, 28] -> logits [B, 10]."""
        return self.head(self.blocks(images).mean(dim=(2, 3)))


def datasets() -> tuple[TensorDataset, TensorDataset]:
    """2000 images of Fashion-MNIST to train on, 2000 others to test with, as many of each class."""
    if os.environ.get("EXAMPLE_DATA") == "tiny":
        split, size = data.synthetic(train=100, test=100, shape=(1, 28, 28)), 100
    else:
        split, size = data.load("fashion-mnist"), 2000
    parts = [data.subset(part, size, classes=10) for part in (split.train, split.test)]
    training, test = (TensorDataset(part.inputs, part.targets) for part in parts)
    return training, test


def train(batch_size: int, epochs: int, file: Path) -> None:
    """Train from the seed's starting point and save the weights."""
    torch.manual_seed(0)
    model = ResidualNetwork()
    training, test = datasets()
    loader = DataLoader(training, batch_size=min(batch_size, len(training)), shuffle=True, drop_last=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(loader))
    for _ in range(epochs):
        model.train()
        for images, labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
            schedule.step()
    print(f"batch size {batch_size}: train {accuracy(model, training):.1%}, test {accuracy(model, test):.1%}")
    torch.save({"model": model.state_dict(), "epoch": epochs}, file)


@torch.no_grad()
def accuracy(model: nn.Module, part: TensorDataset) -> float:
    """Fraction of the images classified correctly."""
    model.eval()
    hits = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in DataLoader(part, batch_size=1000))
    return hits / len(part)


def make() -> Task:
    """What sharpmin needs: the network and the data that f is the mean over. Cross-entropy is its default loss."""
    training, test = datasets()
    loader = DataLoader(training, batch_size=len(training) // 10, shuffle=True)  # the noise scale wants 3 or more
    return Task(ResidualNetwork(), loader, test=DataLoader(test, batch_size=200))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train with small and with large batches.")
    parser.add_argument("--epochs", type=int, nargs=2, default=[15, 30], help="with small and with large batches")
    parser.add_argument("--out", type=Path, default=Path("residual"))
    options = parser.parse_args()
    options.out.mkdir(exist_ok=True)
    train(50, options.epochs[0], options.out / "small.pt")
    train(500, options.epochs[1], options.out / "large.pt")
