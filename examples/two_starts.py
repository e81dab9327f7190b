"""F1 on MNIST from two starting points: minimizers with a barrier between them, until one's units are put into order.

    python examples/two_starts.py       # trains; writes two_starts/first.pt and two_starts/second.pt
    sharpmin align examples/two_starts.py:make two_starts/first.pt two_starts/second.pt -o aligned.safetensors
    sharpmin connect examples/two_starts.py:make two_starts/first.pt two_starts/second.pt --batch-norm batch

With EXAMPLE_DATA=tiny in the environment there are a few made-up images, so that it runs anywhere at once; set it for
sharpmin as well, because `make` reads it too.
"""

import argparse
import os
from pathlib import Path

import torch

from sharpmin import TrainConfig, data, train, zoo
from sharpmin.tasks import Task


def examples() -> tuple[data.Examples, data.Examples]:
    """5000 images to train on and 5000 others to test with, as many of each class."""
    if os.environ.get("EXAMPLE_DATA") == "tiny":
        split, size = data.synthetic(train=100, test=100, shape=(1, 28, 28), classes=10), 100
    else:
        split, size = data.load("mnist"), 5000
    training, test = (data.subset(part, size, seed=0, classes=10) for part in (split.train, split.test))
    return training, test


def make() -> Task:
    """What sharpmin needs: the network, what f is the mean over, and the test data."""
    training, test = examples()
    return Task(zoo.build("F1", seed=0), training, test=test)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train from two starting points.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("two_starts"))
    options = parser.parse_args()
    options.out.mkdir(exist_ok=True)
    training, test = examples()
    for seed, name in enumerate(("first", "second")):
        model = zoo.build("F1", seed=seed)
        config = TrainConfig(batch_size=min(256, len(training)), epochs=options.epochs, seed=seed)
        last = train(model, training, config, test=test).history[-1]
        print(f"{name}: train {last.train_accuracy:.2%}, test {last.test_accuracy:.2%}")
        torch.save(model.state_dict(), options.out / f"{name}.pt")
