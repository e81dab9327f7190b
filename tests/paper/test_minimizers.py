"""Metric 2.1 at the minimizers of a run: the numbers of the library call, and only on the run's own data."""

from pathlib import Path

import pytest

from sharpmin import data
from sharpmin.cli import run
from sharpmin.errors import RunError
from sharpmin.measures import sharpness
from sharpmin.objective import Objective
from sharpmin.paper.minimizers import measure_sharpness, read_minimizers
from sharpmin.runs import Run
from sharpmin.zoo import build

JOB = "plot -n F1 --data synthetic --train-size 60 --epochs 2 --small-batch 16 --points 4 --threads 1 --quiet"
SPLIT = data.synthetic(shape=(1, 28, 28))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("job")
    assert run([*JOB.split(), "--out", str(out)]) == 0
    return next(out.glob("runs/*"))


def subset(size):
    train = data.subset(SPLIT.train, size, seed=0, classes=10)
    return data.Split(SPLIT.name, train, SPLIT.test, 10, True, SPLIT.source)


def test_the_rows_are_the_library_calls_at_the_stored_weights(folder):
    rows = dict(measure_sharpness(read_minimizers(folder, subset(60)), epsilons=[1e-3]))
    model = build("F1", seed=9)
    model.load_state_dict(Run(folder).load("large_batch")[0])
    direct = sharpness(Objective(model, subset(60).train, batch_norm="batch"), epsilon=1e-3)
    assert rows["LB"].value == direct.value > 0
    assert rows["SB"].value != direct.value


def test_other_data_are_refused(folder):
    with pytest.raises(RunError, match="other data"):
        read_minimizers(folder, subset(50))


def test_command_line(folder, capsys):
    command = ["sharpness", str(folder), "--data", "synthetic", "--threads", "1", "--quiet", "--compare"]
    assert run([*command, "--epsilon", "1e-3", "5e-4"]) == 0
    table = capsys.readouterr().out
    assert "205.14 ± 69.52" in table
    assert len(Run(folder).read_lines("sharpness.jsonl")) == 4


def test_not_a_run(tmp_path: Path, capsys):
    assert run(["sharpness", str(tmp_path)]) == 1
    assert "is not a run folder" in capsys.readouterr().err
