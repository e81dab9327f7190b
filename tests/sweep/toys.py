"""Runs of a second, and what is left of them."""

from dataclasses import replace
from functools import partial

from cases import same_bits
from sharpmin.measures import sharpness
from sharpmin.paper.jobs import Job, Single
from sharpmin.runs import Run
from sharpmin.sweep.trial import Trial
from sharpmin.train_config import TrainConfig

SMALL = TrainConfig(batch_size=16, epochs=2)
MEASURES = (partial(sharpness, epsilon=1e-3, iterations=2), partial(sharpness, epsilon=5e-4, iterations=2))
SINGLE = Trial(Single("F1", 0, SMALL, train_size=60), data="synthetic", measures=MEASURES)
TIMES = ("seconds", "environment")


def pair(seed=0, *, epochs=2, measures=MEASURES, **settings):
    small = replace(SMALL, epochs=epochs, seed=seed)
    job = Job("F1", seed, small, replace(small, batch_size=30), train_size=60, points=4)
    return Trial(replace(job, **settings), data="synthetic", measures=measures)


def left(folder):
    """Every tensor and every number of a run folder, but for times and machines."""
    run = Run(folder)
    tensors = {file.name: run.load(file.stem)[0] for file in folder.glob("[!.]*.safetensors")}
    rows = {
        file.name: [{k: v for k, v in line.items() if k not in TIMES} for line in run.read_lines(file.name)]
        for file in folder.glob("[!.]*.jsonl")
    }
    return tensors, rows


def same(one, other):
    """Whether two run folders hold the same bits."""
    (tensors, rows), (expected_tensors, expected_rows) = left(one), left(other)
    return (
        rows == expected_rows
        and tensors.keys() == expected_tensors.keys()
        and all(same_bits(tensors[name], expected_tensors[name]) for name in tensors)
    )


def runs():
    """A recipe: a pair, long enough to be killed in the middle, and a single training."""
    return [pair(epochs=30, measures=MEASURES[:1]), replace(SINGLE, measures=())]


def one_diverges():
    """A recipe whose first run cannot succeed."""
    bad = Single("F1", 0, replace(SMALL, learning_rate=1e38), train_size=60)
    return [replace(SINGLE, job=bad), SINGLE]
