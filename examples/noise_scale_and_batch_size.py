"""Does the gradient noise scale tell at which batch size accuracy drops? F1 on MNIST, at equal epochs.

Trains F1 from one starting point at several batch sizes for the same number of epochs, measures the noise scale at the
weights along the small-batch training, and prints both, with a figure:

    python examples/noise_scale_and_batch_size.py --json rows.json --figure figure.png

The noise scale is measured on batches of the small batch size, because F1's BatchNorm normalises with the batch's own
statistics (docs/noise-scale.md). Each later epoch has a larger one: as the gradient shrinks, the noise stays.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch
from matplotlib.figure import Figure

from sharpmin import Objective, State, TrainConfig, data, runtime, train, zoo
from sharpmin.console import progress
from sharpmin.measures import NoiseScale, noise_scale


def main() -> None:
    arguments = parse()
    environment = runtime.tuned_environment(runtime.tune(threads=arguments.threads), device=torch.device("cpu"))
    with progress() as report:
        split = data.load("mnist", progress=report)
        states: list[State] = []
        accuracies = {}
        for batch_size in arguments.batches:
            config = TrainConfig(batch_size=batch_size, epochs=arguments.epochs, seed=arguments.seed)
            model = zoo.build("F1", seed=arguments.seed)
            first = batch_size == arguments.batches[0]
            keep = states.append if first else None
            ended = train(
                model,
                split.train,
                config,
                test=split.test,
                after_epoch=keep,
                progress=report,
                label=f"batch {batch_size}",
            )
            accuracies[batch_size] = ended.history[-1].test_accuracy
        scales = measured(split, states, arguments)
    rows = {
        "accuracy": accuracies,
        "noise_scale": {epoch: asdict(found) for epoch, found in scales.items()},
        "epochs": arguments.epochs,
        "seed": arguments.seed,
        "environment": environment,
    }
    for batch_size, accuracy in accuracies.items():
        print(f"batch {batch_size}: test accuracy {100 * accuracy:.2f}% after {arguments.epochs} epochs")
    for epoch, found in scales.items():
        print(f"epoch {epoch}: noise scale {found.value:.0f} ± {found.standard_error:.0f} examples ({found.status})")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    if arguments.figure:
        drawn(accuracies, scales).savefig(arguments.figure, dpi=160)


def measured(split: data.Split, states: list[State], arguments: argparse.Namespace) -> dict[int, NoiseScale]:
    """The noise scale at the end of some epochs of the small-batch training."""
    model = zoo.build("F1", seed=arguments.seed)
    objective = Objective(model, split.train, batch_norm="batch", batch_size=arguments.batches[0])
    epochs = sorted({1, 2, 5, arguments.epochs} & set(range(1, arguments.epochs + 1)))
    return {
        epoch: noise_scale(objective, theta=objective.layout.flatten(states[epoch - 1].weights), seed=arguments.seed)
        for epoch in epochs
    }


def drawn(accuracies: dict[int, float], scales: dict[int, NoiseScale]) -> Figure:
    """Test accuracy against batch size, and where the noise scales lie."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axis = figure.add_subplot()
    axis.semilogx(list(accuracies), [100 * accuracy for accuracy in accuracies.values()], "o-", color="tab:red")
    for epoch, found in scales.items():
        axis.axvspan(max(1, found.lower_bound), found.value + 2 * found.standard_error, color="tab:blue", alpha=0.12)
        axis.axvline(found.value, color="tab:blue", linewidth=1)
        axis.text(found.value, axis.get_ylim()[0], f" epoch {epoch}", rotation=90, va="bottom", fontsize=8)
    axis.set_xlabel("batch size (blue: noise scale at the end of an epoch, and two standard errors)")
    axis.set_ylabel("test accuracy (%)")
    axis.set_title("F1 on MNIST, the same epochs for each batch size", fontsize=9)
    return figure


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[256, 1024, 4096, 16384, 60000])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
