"""Gradients that are f's pass, stopped and replaced ones do not."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cases import F64, examples, shallow
from sharpmin.consistency import is_not_its_gradient
from sharpmin.data import Examples
from sharpmin.objective import Objective


class Siamese(nn.Module):
    """Two views of an input are to agree."""

    def __init__(self, *, stop: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder, self.head, self.stop = nn.Sequential(nn.Linear(4, 8), nn.Tanh()), nn.Linear(8, 8), stop

    def forward(self, x):
        target = self.encoder(x + 0.1)
        return 1 - F.cosine_similarity(self.head(self.encoder(x)), target.detach() if self.stop else target)


class Signs(nn.Module):
    """Signs, with a gradient as if they were the numbers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x):
        x = self.first(x)
        return self.second(x + (x.sign() - x).detach())


def siamese(model, batch):
    return model(batch[0])


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_stopped_and_replaced_gradients(dtype):
    data = [
        (x.to(dtype), y) for x, y in zip(examples(16, 4).inputs.split(8), examples(16, 4).targets.split(8), strict=True)
    ]
    said = is_not_its_gradient(Objective(Siamese(stop=True).to(dtype), data, loss=siamese))
    assert "the gradient is not that of the loss" in said
    assert is_not_its_gradient(Objective(Siamese(stop=False).to(dtype), data, loss=siamese)) is None
    assert "a straight-through estimator" in is_not_its_gradient(Objective(Signs().to(dtype), data))


@pytest.mark.parametrize("policy", ["running", "batch", "recalibrate"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_kinks_large_weights_and_a_flat_place_are_no_reason(policy, scale):
    model = shallow().float()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(scale)
    data = examples(32, 2, 8, 8)
    data = type(data)(data.inputs.float(), data.targets)
    assert is_not_its_gradient(Objective(model, data, batch_norm=policy)) is None


@pytest.mark.parametrize("loss", ["cross-entropy", "squared error"])
def test_a_relu_network_trained_by_full_batches_has_kinks_on_every_scale(loss):
    torch.manual_seed(0)
    x = torch.randn(400, 16)
    y = (x @ torch.randn(16, 4) + x.abs() @ torch.randn(16, 4)).argmax(1)
    width = 4 if loss == "cross-entropy" else 1

    def per_example(model, batch):
        if width == 4:
            return F.cross_entropy(model(batch[0]), batch[1], reduction="none")
        return (model(batch[0])[:, 0] - batch[1]).square()

    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, width))
    solver = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(200):
        solver.zero_grad()
        per_example(model, (x, y)).mean().backward()
        solver.step()
    assert is_not_its_gradient(Objective(model, Examples(x, y), loss=per_example)) is None


def test_a_loss_that_rounds_to_nothing_tells_nothing():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 3)), torch.randn(512, 10)
    with torch.no_grad():
        for weight in model[2].parameters():
            weight.mul_(300)
        first, second = model(x).topk(2).values.T
    x = x[first - second > 45]
    f = Objective(model, [(x, model(x).argmax(1))])
    value, gradient = f.value_and_grad(f.theta)
    assert value == 0 < gradient.norm()
    assert is_not_its_gradient(f) is None


def test_at_a_minimum_nothing_is_said():
    model = nn.Linear(4, 3).double()
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    x, y = torch.zeros(3, 4, dtype=F64), torch.arange(3)  # the gradient is 0 by symmetry
    assert is_not_its_gradient(Objective(model, [(x, y)])) is None
