"""How many vectors of n numbers each measure holds at its peak, everything included but the model and the data.

    python benchmarks/memory_of_measures.py [--weights 1000000]

f is the loss of one wide linear layer on three batches of four examples, so that activations weigh nothing. Counted are
the storages that PyTorch's operators made and that are still alive, in units of n float32 numbers.
"""

import argparse
from collections.abc import Callable

import torch

from sharpmin import Objective, measures, path
from sharpmin.held import LiveBytes


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--weights", type=int, default=1_000_000)
    inputs, outputs = 1000, parser.parse_args().weights // 1000
    torch.manual_seed(0)
    model = torch.nn.Linear(inputs, outputs, bias=False)
    batch = torch.randn(4, inputs), torch.randint(outputs, (4,))
    f = Objective(model, [batch] * 3)
    ends = f.theta, f.theta + 0.1
    calls: dict[str, Callable[[], object]] = {
        "f.value(theta)": lambda: f.value(ends[0]),
        "f.value_and_grad(theta)": lambda: f.value_and_grad(ends[0]),
        "path": lambda: path(f, *ends),
        "sharpness": lambda: measures.sharpness(f, theta=ends[0], iterations=11),
        "sharpness, subspace=5": lambda: measures.sharpness(f, theta=ends[0], subspace=5),
        "l2_sharpness": lambda: measures.l2_sharpness(f, theta=ends[0], steps=5),
        "adaptive_sharpness": lambda: measures.adaptive_sharpness(f, theta=ends[0], steps=5),
        "linf_sharpness": lambda: measures.linf_sharpness(f, theta=ends[0], steps=5),
        "gaussian_sharpness": lambda: measures.gaussian_sharpness(f, theta=ends[0], samples=3),
        "spectrum, max_basis=10": lambda: measures.spectrum(f, k=1, max_basis=10, max_products=20),
        "trace, products=30": lambda: measures.trace(f, products=30),
        "density, steps=10": lambda: measures.density(f, runs=1, steps=10),
        "noise_scale": lambda: measures.noise_scale(f, theta=ends[0]),
    }
    for name, call in calls.items():
        with LiveBytes(*model.parameters(), *batch, *ends) as live:
            call()
        print(f"{name:28} {live.peak / (4 * inputs * outputs):6.1f}", flush=True)


if __name__ == "__main__":
    main()
