"""What is computed by one process and by several."""

import torch
from torch import nn

from cases import F64, examples, random, shallow
from sharpmin.distributed.group import ALONE, Group
from sharpmin.losses import classification
from sharpmin.measures import sharpness, spectrum
from sharpmin.objective import Objective
from sharpmin.products import Curvature
from sharpmin.remedies import SAM, Conservative, GhostBatchNorm, Robust
from sharpmin.train_config import TrainConfig
from sharpmin.training import train

IMAGES = 23


def dense() -> nn.Sequential:
    """F1 in small. Biases ahead of a BatchNorm have the gradient 0, and Adam would make steps of its rounding."""
    torch.manual_seed(0)
    norms = [nn.BatchNorm1d(8, track_running_stats=False) for _ in range(2)]
    first, second = nn.Linear(128, 8, bias=False), nn.Linear(8, 8, bias=False)
    layers = [nn.Flatten(), first, norms[0], nn.ReLU(), second, norms[1], nn.ReLU(), nn.Linear(8, 3)]
    return nn.Sequential(*layers).to(F64)


class Experts(nn.Module):
    """Each example goes to one of two, so a small batch may leave out one, and nothing goes to the third."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.experts = nn.ModuleList(nn.Linear(4, 3) for _ in range(3)).to(F64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        outputs, second = x.new_zeros(len(x), 3), x[:, 0] > 0
        for picked, expert in ((~second, self.experts[0]), (second, self.experts[1])):
            if picked.any():
                outputs = outputs.index_put((picked.nonzero()[:, 0],), expert(x[picked]))
        return outputs


def noisy(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """A loss that draws random numbers."""
    inputs, targets = batch
    return nn.functional.cross_entropy(model(inputs + torch.randn_like(inputs)), targets, reduction="none")


def trained(group: Group) -> dict[str, torch.Tensor]:
    """Batches of 10, 10 and 3; and of 11, 11 and 1, which are fewer than the processes; and all remedies at once."""
    found, sgd = {}, {"optimizer": "sgd", "learning_rate": 0.01}
    remedies = {"sam": SAM(), "robust": Robust(), "ghost_batch_norm": GhostBatchNorm(5), "conservative": Conservative()}
    for rule, size, model, shape, how in (
        ("adam", 10, dense(), (2, 8, 8), {"learning_rate": 0.01}),
        ("sgd", 11, shallow(), (2, 8, 8), sgd),
        ("remedies", 11, shallow(), (2, 8, 8), sgd | remedies),
        ("experts", 3, Experts(), (4,), sgd | {"momentum": 0.9}),
    ):
        config = TrainConfig(batch_size=size, epochs=2, **how)
        state = train(model, examples(IMAGES, *shape), config, test=examples(9, *shape, seed=5), group=group)
        found |= {f"{rule} {name}": tensor for name, tensor in (state.weights | state.moments).items()}
        lines = [(e.train_loss, e.train_accuracy, e.test_loss, e.test_accuracy) for e in state.history]
        found[f"{rule} history"] = torch.tensor(lines, dtype=F64)
    return found


def measured(group: Group) -> dict[str, torch.Tensor]:
    """Three batches, and one, so that some processes have none; as tensors and as an iterable."""
    data, found = examples(IMAGES, 2, 8, 8), {}
    for size in (8, 23):
        batches = list(zip(data.inputs.split(size), data.targets.split(size), strict=True))
        for name, given in (("pair", data), ("iterable", batches)):
            f = Objective(shallow(), given, batch_norm="batch", batch_size=size, group=group)
            value, gradient = f.value_and_grad(f.theta)
            along = f.measure_many(f.theta * (1 + step / 10) for step in range(3))
            losses = torch.tensor([(m.loss, m.accuracy, m.examples) for m in along], dtype=F64)
            found |= {f"{name} {size} gradient": gradient, f"{name} {size} losses": losses}
            found[f"{name} {size} value"] = torch.tensor(value, dtype=F64)
    return found


def opaque(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """A loss that cannot be taped, as a process finds out that has a batch."""
    return classification(model, batch).losses + 0 * sum(weight.sum() for weight in model.parameters())


def curved(group: Group) -> dict[str, torch.Tensor]:
    """Products by every method, of a chain and of a network that is none, and of one batch for several processes."""
    found = {}
    smooth = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).to(F64)
    for name, model, shape in (("chain", shallow(), (2, 8, 8)), ("other", smooth, (4,))):
        nn.utils.vector_to_parameters(random(sum(p.numel() for p in model.parameters()), seed=7), model.parameters())
        f = Objective(model, examples(IMAGES, *shape), batch_norm="batch", batch_size=12, group=group)
        for matrix in ("hessian", "gauss-newton"):
            curvature = Curvature(f, matrix=matrix)
            found[f"{name} {matrix}"] = torch.stack([curvature @ random(curvature.size, seed=s) for s in (1, 2)])
            found[f"{name} {matrix} by {curvature.method}"] = torch.ones(1)
    f = Objective(shallow(), examples(IMAGES, 2, 8, 8), loss=opaque, batch_norm="batch", group=group)
    curvature = Curvature(f)
    found["opaque"] = curvature @ random(curvature.size, seed=1)
    found[f"opaque by {curvature.method} after {', '.join(curvature.passed_over)}"] = torch.ones(1)
    return found


def questions(group: Group) -> dict[str, torch.Tensor]:
    """Measures, which know nothing of processes."""
    f = Objective(shallow(), examples(IMAGES, 2, 8, 8), batch_norm="batch", batch_size=8, group=group)
    sharp, top = sharpness(f, iterations=3), spectrum(f, k=2, max_products=30)
    random_loss = Objective(shallow(), examples(IMAGES, 2, 8, 8), loss=noisy, batch_size=8, group=group)
    value, gradient = random_loss.value_and_grad(random_loss.theta)
    return {
        "random loss value": torch.tensor([value, random_loss.value(random_loss.theta)], dtype=F64),
        "random loss gradient": gradient,
        "random loss product": Curvature(random_loss) @ gradient,
        "sharpness": torch.tensor([sharp.value, sharp.loss, sharp.max_loss, sharp.evaluations], dtype=F64),
        "eigenvalues": top.eigenvalues.to(F64),
    }


def everything(group: Group = ALONE) -> dict[str, torch.Tensor]:
    """All of it, by name."""
    return trained(group) | measured(group) | curved(group) | questions(group)
