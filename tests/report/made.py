"""Run folders written by hand, in the format of the verbs, with numbers whose mean and spread are known."""

import json

TRAINING = {"epochs": 200, "learning_rate": 0.001, "precision": "float32", "until_converged": True, "patience": 10}
ENVIRONMENT = {"sharpmin": "0.1", "torch": "2.13.0+cpu", "processor": "made up", "device": "cpu", "threads": 1}
BATCHES = {"small_batch": 256, "large_batch": 6000}
SHARP = {"SB": (1.0, 2.0, 3.0, 4.0), "LB": (100.0, 210.0, 290.0, 400.0)}
ALPHAS = (-1.0, 0.0, 1.0, 2.0)


def settings(seed=0, **changes):
    data = {"name": "mnist", "synthetic": False, "train": 60000, "test": 10000, "shape": [1, 28, 28], "classes": 10}
    parts = {part: {"batch_size": size, "seed": seed, **TRAINING} for part, size in BATCHES.items()}
    made = {"format": 1, "network": "F1", "seed": seed, **parts, "train_size": None, "device": "cpu"}
    return {**made, "data": {**data, "sha1": "3db4"}, **changes}


def epoch(number, loss):
    return {
        "epoch": number,
        "train_loss": loss,
        "train_accuracy": 1 - loss / 2,
        "test_loss": loss + 0.1,
        "test_accuracy": 0.98 - loss / 2,
        "seconds": 1.5,
    }


def history(epochs=30, *, settled=True):
    return [epoch(n, max(0.5**n, 0.01) if settled else 0.9**n) for n in range(1, epochs + 1)]


def point(alpha, *, seed=0, test_accuracy=None):
    loss = {-1.0: 0.5, 0.0: 0.02, 1.0: 0.01, 2.0: 6.0}[alpha]
    accuracy = {0.0: 0.985, 1.0: 0.975}.get(alpha, 0.9) if test_accuracy is None else test_accuracy
    return {
        "alpha": alpha,
        "train_loss": loss,
        "train_accuracy": 0.999,
        "test_loss": loss + 0.05,
        "test_accuracy": accuracy + 0.0002 * seed,
        "seconds": 1.0,
    }


def sharpness(minimizer, value, *, epsilon=1e-3, loss=0.01, **changes):
    asked = {"epsilon": epsilon, "subspace": None, "start": "corner", "iterations": 10, "solver": "sharpmin", "seed": 0}
    row = {
        "minimizer": minimizer,
        "value": value,
        "loss": loss,
        "max_loss": loss + value / 100 * (1 + loss),
        "epsilon": epsilon,
        "subspace": None,
        "start": "corner",
        "solver": "sharpmin",
        "iterations": 10,
        "evaluations": 12,
        "status": "iterations",
        "message": "The limit on iterations was reached.",
        "first_order": 0.1 * value / 100,
        "seconds": 90.0,
        "seed": 0,
        "batch_norm": "batch",
        "batch_size": 5000,
        "precision": "float32",
        "environment": ENVIRONMENT,
        "asked": asked,
    }
    return {**row, **changes}


def lines(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def run_folder(parent, seed=0, *, sharp=SHARP, **changes):
    """A finished run with its line and its sharpness at one epsilon; `changes` are of its settings."""
    folder = parent / f"F1-{seed:010x}"
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps(settings(seed, **changes)))
    (folder / "environment.json").write_text(json.dumps([ENVIRONMENT]))
    for part in BATCHES:
        (folder / f"{part}.safetensors").touch()
        lines(folder / f"{part}.history.jsonl", history())
    lines(folder / "line-4-5000.jsonl", [point(alpha, seed=seed) for alpha in ALPHAS])
    if sharp:
        lines(folder / "sharpness.jsonl", [sharpness(name, values[seed]) for name, values in sharp.items()])
    return folder


def append(file, row):
    with file.open("a") as opened:
        opened.write(json.dumps(row) + "\n")


def runs(parent, count=4, **options):
    return [run_folder(parent, seed, **options) for seed in range(count)]
