"""Does sharpness depend on when a training is stopped? Metric 2.1 at the end of several epochs of one training.

Adam at a constant learning rate does not come to rest: at a small batch size every epoch ends at another point. This
trains a network of the paper and measures it after epochs FIRST, FIRST + EVERY, ... LAST:

    python examples/sharpness_along_training.py -n F1 --seed 1 --first 15 --every 5 --last 45 --json rows.json
"""

import argparse
import json
from pathlib import Path

import torch

from sharpmin import Objective, State, TrainConfig, data, runtime, train, zoo
from sharpmin.console import progress
from sharpmin.measures import sharpness
from sharpmin.paper.recipes import recipe


def main() -> None:
    arguments = parse()
    environment = runtime.tuned_environment(runtime.tune(threads=arguments.threads), device=torch.device("cpu"))
    config = TrainConfig(batch_size=arguments.batch, epochs=arguments.last, seed=arguments.seed)
    rows = []
    with progress() as report:
        split = data.load(recipe(arguments.network).data, progress=report)
        model = zoo.build(arguments.network, seed=arguments.seed)

        def measure(state: State) -> None:
            if state.epochs not in range(arguments.first, arguments.last + 1, arguments.every):
                return
            f = Objective(model, split.train, batch_norm="batch")
            found = sharpness(f, epsilon=arguments.epsilon)
            row = {"epoch": state.epochs, "train_loss": state.history[-1].train_loss, "loss": found.loss}
            rows.append({**row, "sharpness": found.value, "first_order": found.first_order})
            print(rows[-1], flush=True)
            if arguments.json:
                kept = {**vars(arguments), "json": None, "rows": rows, "environment": environment}
                arguments.json.write_text(json.dumps(kept, indent=1) + "\n")

        train(model, split.train, config, after_epoch=measure, progress=report, label=f"batch {arguments.batch}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", "--network", default="F1")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=20)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--last", type=int, default=45)
    parser.add_argument("--epsilon", type=float, default=1e-3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
