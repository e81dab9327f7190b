"""Do several processes take the steps that one takes?

    torchrun --nproc-per-node 2 benchmarks/parallel.py --precision float64
    torchrun --nproc-per-node 3 benchmarks/parallel.py --batch 2000 --precision float64

Trains F1 on a part of MNIST with all the processes, then again by itself in each, from one starting point; then f, its
gradient and a Hessian product at where the first ended. Rank 0 prints the largest differences, relative to the largest
entry. Biases ahead of a BatchNorm are left out: their gradient is 0, and Adam makes steps of its rounding.
"""

import argparse

import torch
from torch import Tensor, nn

from sharpmin import Objective, TrainConfig, data, train, zoo
from sharpmin.data import Examples
from sharpmin.distributed.group import ALONE, Group
from sharpmin.distributed.world import join, leave
from sharpmin.products import Curvature


def main() -> None:
    """Compute everything twice, and compare."""
    asked = arguments()
    torch.set_num_threads(1)
    world = join()
    with world.one_after_rank_0():
        examples = part_of_mnist(asked.examples, getattr(torch, asked.precision))
    config = TrainConfig(batch_size=asked.batch, epochs=asked.epochs)
    found = {group.size: weights(group, examples, config) for group in (world, ALONE)}
    rows = {"weights": difference(found[world.size], found[1])}
    together, alone = (geometry(group, examples, found[1]) for group in (world, ALONE))
    rows |= {name: difference(tensor, alone[name]) for name, tensor in together.items()}
    if world.rank == 0:
        steps = config.epochs * -(-len(examples) // config.batch_size)
        print(f"{world.size} processes and one, F1, {asked.precision}, {steps} steps of {config.batch_size}:")
        print("  ".join(f"{name} {largest:.1e}" for name, largest in rows.items()))
    leave()


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--examples", type=int, default=5000)
    parser.add_argument("--precision", choices=["float32", "float64"], default="float32")
    return parser.parse_args()


def part_of_mnist(count: int, dtype: torch.dtype) -> Examples:
    """The first examples of the training set."""
    whole = data.load("mnist").train
    return Examples(whole.inputs[:count].to(dtype), whole.targets[:count])


def network(like: Examples) -> nn.Sequential:
    """F1 at its starting point."""
    return zoo.build("F1", seed=0).to(like.inputs.dtype)


def weights(group: Group, examples: Examples, config: TrainConfig) -> dict[str, Tensor]:
    """All the weights after training."""
    return train(network(examples), examples, config, group=group).weights


def geometry(group: Group, examples: Examples, at: dict[str, Tensor]) -> dict[str, Tensor]:
    """The value of f, its gradient and a product, over batches of 1000."""
    model = network(examples)
    model.load_state_dict(at)
    f = Objective(model, examples, batch_norm="batch", batch_size=1000, group=group)
    value, gradient = f.value_and_grad(f.theta)
    v = torch.randn(len(f.theta), generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(f.theta)
    return {"value": torch.tensor(value, dtype=torch.float64), "gradient": gradient, "product": Curvature(f) @ v}


def difference(one: Tensor | dict[str, Tensor], other: Tensor | dict[str, Tensor]) -> float:
    """The largest difference over the largest entry."""
    if isinstance(one, dict) and isinstance(other, dict):
        last = list(one)[-1]
        return max(difference(one[name], other[name]) for name in one if name == last or not ahead_of_norm(name, one))
    assert isinstance(one, Tensor)
    assert isinstance(other, Tensor)
    return ((one - other).abs().max() / other.abs().max()).item()


def ahead_of_norm(name: str, among: dict[str, Tensor]) -> bool:
    """Whether this is the bias of a dense layer of F1 that a BatchNorm follows."""
    layer, _, kind = name.rpartition(".")
    return kind == "bias" and among[f"{layer}.weight"].dim() == 2


if __name__ == "__main__":
    main()
