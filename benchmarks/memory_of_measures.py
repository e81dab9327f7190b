"""How many vectors of n numbers each measure holds at its peak, everything included but the model and the data.

    python benchmarks/memory_of_measures.py [--weights 1000000]

f is the loss of one wide linear layer on three batches of four examples, so that activations weigh nothing. Counted are
the storages that PyTorch's operators made and that are still alive, in units of n float32 numbers.
"""

import argparse
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sharpmin import Objective, measures, path


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of the storages that operators made and that are still alive, but for those known before."""

    def __init__(self, *known: Tensor) -> None:
        super().__init__()
        self.alive = self.peak = 0
        self.known = {tensor.untyped_storage()._cdata for tensor in known}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the operator and look at what it made."""
        answer = func(*args, **(kwargs or {}))
        for tensor in answer if isinstance(answer, tuple | list) else (answer,):
            if isinstance(tensor, Tensor):
                self.watch(tensor.untyped_storage())
        return answer

    def watch(self, storage: torch.UntypedStorage) -> None:
        """Count a storage until it is gone."""
        key, size = storage._cdata, storage.nbytes()
        if key not in self.known and size:
            self.known.add(key)
            self.alive += size
            self.peak = max(self.peak, self.alive)
            weakref.finalize(storage, self.gone, key, size)

    def gone(self, key: int, size: int) -> None:
        """Forget a storage."""
        self.known.discard(key)
        self.alive -= size


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
        "path": lambda: path(f, *ends, alphas=[-0.5, 0.5]),
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
