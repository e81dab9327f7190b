"""Progressive sharpening and the edge of stability: lambda_max rises to 2 / learning rate, and hovers there.

Trains the fully connected network of F1 by full-batch gradient descent on a fixed part of MNIST, squared loss, at
several learning rates, with a `Monitor` in a plain PyTorch loop, and draws lambda_max and the loss against the step:

    python examples/edge_of_stability.py --out edge
    python examples/edge_of_stability.py --out with-norms --keep-batch-norm --learning-rates 0.02 0.05

F1's BatchNorm layers are left out unless they are asked for: docs/monitor.md says what they change. A learning rate
whose rows are complete in the folder is only drawn.

Source: Cohen, Kaur, Li, Kolter and Talwalkar 2021, "Gradient Descent on Neural Networks Typically Occurs at the Edge of
Stability", Figure 1.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from sharpmin import Objective, data, runtime, zoo
from sharpmin.console import progress
from sharpmin.measures import spectrum
from sharpmin.monitor import Monitor, read_rows
from sharpmin.progress import Progress


def main() -> None:
    arguments = parse()
    environment = runtime.tuned_environment(runtime.tune(threads=arguments.threads), device=torch.device("cpu"))
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = {}
    with progress() as report:
        split = data.synthetic(shape=(1, 28, 28)) if arguments.synthetic else data.load("mnist", progress=report)
        examples = data.subset(split.train, arguments.examples, seed=arguments.seed, classes=split.classes)
        for learning_rate in arguments.learning_rates:
            file = arguments.out / f"learning-rate-{learning_rate:g}.jsonl"
            if not (file.exists() and any(row["step"] == arguments.steps for row in read_rows(file))):
                descend(network(arguments), examples, file, learning_rate, arguments, report)
            rows[learning_rate] = read_rows(file)
    for learning_rate, found in rows.items():
        print(ending(learning_rate, found))
    settings = {key: value for key, value in vars(arguments).items() if key != "out"}
    seconds = {learning_rate: found[-1]["elapsed"] for learning_rate, found in rows.items()}
    about = {"settings": settings, "data": split.source, "seconds": seconds, "environment": environment}
    (arguments.out / "about.json").write_text(json.dumps(about, indent=1) + "\n")
    drawn(rows).savefig(arguments.out / "figure.png", dpi=160)


def network(arguments: argparse.Namespace) -> nn.Sequential:
    """F1, without its BatchNorm layers unless they are asked for."""
    layers = zoo.build("F1", seed=arguments.seed)
    return nn.Sequential(*(m for m in layers if arguments.keep_batch_norm or not isinstance(m, nn.BatchNorm1d)))


def squares(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """|model(x) - one_hot(y)|^2 / 2 of each example."""
    outputs = model(batch[0])
    return (outputs - F.one_hot(batch[1], outputs.shape[1])).square().sum(1) / 2


def descend(
    model: nn.Module,
    examples: data.Examples,
    file: Path,
    learning_rate: float,
    arguments: argparse.Namespace,
    report: Progress,
) -> None:
    """Full-batch gradient descent, measured every so many steps."""
    file.unlink(missing_ok=True)
    f = Objective(model, examples, loss=squares, batch_norm="batch")
    names = ("loss", "distance", "lambda-max")
    also: Mapping[str, Callable[[Objective], Any]] = {"cold": cold} if arguments.check else {}
    monitor = Monitor(f, file=file, every=arguments.every, share=1, measures=names, also=also)
    sgd = torch.optim.SGD(model.parameters(), lr=learning_rate)
    for step in range(arguments.steps + 1):
        monitor(step)
        loss = squares(model, (examples.inputs, examples.targets)).mean()
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        report(f"learning rate {learning_rate:g}", step, arguments.steps, unit="steps", note=f"loss {loss.item():.4f}")
    file.with_suffix(".start.safetensors").unlink()


@dataclass(frozen=True)
class Cold:
    """The largest eigenvalue by a search of its own, and what it took."""

    value: float
    products: int


def cold(f: Objective) -> Cold:
    """What a search from a random vector finds."""
    found = spectrum(f, k=1, tol=1e-2)
    return Cold(found.eigenvalues[0].item(), found.products)


def ending(learning_rate: float, rows: Sequence[dict[str, Any]]) -> str:
    """The second half of the rows in a line."""
    late = torch.tensor([row["lambda-max"] for row in rows[len(rows) // 2 :]]) * learning_rate / 2
    return (
        f"learning rate {learning_rate:g}: lambda_max from {rows[0]['lambda-max']:.3g}; in the second half "
        f"{late.mean():.3f} times 2 / learning rate on average, from {late.min():.3f} to {late.max():.3f}; "
        f"loss {rows[0]['loss']:.3g} to {rows[-1]['loss']:.3g}"
    )


def drawn(rows: Mapping[float, Sequence[dict[str, Any]]]) -> Figure:
    """lambda_max with the lines 2 / learning rate above, the loss below."""
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 2))
    for number, (learning_rate, found) in enumerate(rows.items()):
        steps, colour = [row["step"] for row in found], f"C{number}"
        label = f"learning rate {learning_rate:g}"
        above.plot(steps, [row["lambda-max"] for row in found], ".-", color=colour, linewidth=1, label=label)
        above.axhline(2 / learning_rate, color=colour, linestyle="--", linewidth=1)
        below.semilogy(steps, [row["loss"] for row in found], ".-", color=colour, linewidth=1)
    labelled(above, "largest Hessian eigenvalue\n(dashed: 2 / learning rate)")
    labelled(below, "training loss")
    above.set_ylim(bottom=0)
    above.legend(frameon=False)
    below.set_xlabel("step of full-batch gradient descent")
    return figure


def labelled(axis: Axes, name: str) -> None:
    axis.set_ylabel(name)
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--learning-rates", type=float, nargs="+", default=[0.1, 0.05, 0.02])
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--keep-batch-norm", action="store_true")
    parser.add_argument("--check", action="store_true", help="search from a random vector, too, in each row")
    parser.add_argument("--synthetic", action="store_true", help="made-up data instead of MNIST")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", type=Path, default=Path("edge-of-stability"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
