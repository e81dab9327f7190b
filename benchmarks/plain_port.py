"""The original script's job on C1, ported to PyTorch as one would on a first day: nothing is tuned.

Float32, channels first, PyTorch's own layers, its default Adam and the allocator as it comes. It exists to be
compared with (benchmarks/original_job.py) and knows nothing of sharpmin.

Source: Keskar et al. 2017, Table 1, appendix B and section 2.2.
"""

import copy
import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Data = tuple[Tensor, Tensor]  # images float32 [N, 3, 32, 32], pixels / 255; labels int64 [N]
EVALUATION_BATCH = 5000


def c1() -> nn.Sequential:
    """C1; its BatchNorm normalises with the batch at hand, in training and in evaluation."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 5, padding=2),
        nn.BatchNorm2d(64, eps=1e-3, track_running_stats=False),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.Conv2d(64, 64, 5, padding=2),
        nn.BatchNorm2d(64, eps=1e-3, track_running_stats=False),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.Flatten(),
        nn.Linear(64 * 8 * 8, 384),
        nn.BatchNorm1d(384, eps=1e-3, track_running_stats=False),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(384, 192),
        nn.BatchNorm1d(192, eps=1e-3, track_running_stats=False),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(192, 10),
    )


def train(model: nn.Module, data: Data, *, batch_size: int, epochs: int = 1) -> float:
    """Train with a new Adam; return the mean loss of the last epoch."""
    images, labels = data
    optimizer = torch.optim.Adam(model.parameters())
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(images))
        total = 0.0
        for start in range(0, len(images), batch_size):
            picked = order[start : start + batch_size]
            loss = F.cross_entropy(model(images[picked]), labels[picked])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(picked)
    return total / len(images)


@torch.no_grad()
def evaluate(model: nn.Module, data: Data) -> tuple[float, float]:
    """Mean loss and accuracy, in batches of 5000."""
    images, labels = data
    model.eval()
    loss, hits = 0.0, 0
    for start in range(0, len(images), EVALUATION_BATCH):
        target = labels[start : start + EVALUATION_BATCH]
        logits = model(images[start : start + EVALUATION_BATCH])
        loss += F.cross_entropy(logits, target, reduction="sum").item()
        hits += int((logits.argmax(1) == target).sum())
    return loss / len(images), hits / len(images)


def parametric_plot(
    train_data: Data, test_data: Data, *, batch_sizes: tuple[int, int], alphas: Sequence[float]
) -> dict[str, float]:
    """Train small-batch and large-batch for an epoch each from one x0, test both, evaluate along the line.

    Returns the seconds of both trainings (without the tests) and of the evaluation along the line.
    """
    model = c1()
    x0 = copy.deepcopy(model.state_dict())
    solutions, seconds = [], {}
    for name, batch_size in zip(("small_batch", "large_batch"), batch_sizes, strict=True):
        began = time.perf_counter()
        model.load_state_dict(x0)
        train(model, train_data, batch_size=batch_size)
        seconds[name] = time.perf_counter() - began
        evaluate(model, test_data)
        solutions.append(copy.deepcopy(model.state_dict()))
    began = time.perf_counter()
    small, large = solutions
    for alpha in alphas:
        model.load_state_dict({name: alpha * large[name] + (1 - alpha) * small[name] for name in small})
        evaluate(model, train_data)
        evaluate(model, test_data)
    return {**seconds, "evaluation": time.perf_counter() - began}
