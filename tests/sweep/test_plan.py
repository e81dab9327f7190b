"""Where runs lie, and how far they are: from the files alone, and without writing any."""

import json
import os
from dataclasses import replace
from functools import partial

import pytest

from sharpmin.cli.measuring import data_of_run
from sharpmin.errors import UsageError
from sharpmin.measures import sharpness
from sharpmin.progress import silent
from sharpmin.sweep.plan import plan
from sharpmin.sweep.work import finish
from sweep.toys import MEASURES, SINGLE, SMALL, pair


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A pair and a single training, both complete."""
    runs = tmp_path_factory.mktemp("runs")
    for trial in (pair(), SINGLE):
        finish(trial, runs=runs, device="cpu", threads=1)
    return runs


def states(trials, runs):
    return [run.state for run in plan(trials, runs=runs, device="cpu")]


def test_a_run_lies_where_its_training_puts_it(done):
    planned = plan([pair(), SINGLE], runs=done, device="cpu")
    assert sorted(run.folder.name for run in planned) == sorted(os.listdir(done))
    assert [run.state for run in planned] == ["complete", "complete"]


@pytest.mark.parametrize("trial", [SINGLE, pair()])
def test_few_test_images_are_all_that_is_tested_on(tmp_path, trial):
    few = replace(trial, job=replace(trial.job, test_size=50))
    run = finish(few, runs=tmp_path, device="cpu", threads=1)
    assert states([few], tmp_path) == ["complete"]
    assert json.loads((run.folder / "settings.json").read_text())["data"]["test"] == 50
    assert len(data_of_run(run.folder, None, silent).test) == 50
    (history, *_) = (run.read_lines(f"{point}.history.jsonl") for point in few.job.files().values())
    right = [epoch["test_accuracy"] * 50 for epoch in history]
    assert right == pytest.approx([round(count) for count in right], abs=1e-9)
    assert right


def test_nothing_is_written(tmp_path):
    assert states([pair(), SINGLE], tmp_path / "runs") == ["to do", "to do"]
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "other",
    [
        replace(SINGLE, job=replace(SINGLE.job, config=replace(SMALL, batch_size=8))),
        replace(SINGLE, job=replace(SINGLE.job, seed=1)),
        replace(SINGLE, job=replace(SINGLE.job, train_size=50)),
        replace(SINGLE, job=replace(SINGLE.job, test_size=50)),
        pair(1),
        pair(epochs=3),
    ],
)
def test_another_configuration_is_another_run(done, other):
    assert states([other], done) == ["to do"]


def test_further_points_or_measures_are_to_be_added(done):
    more = (*MEASURES, partial(sharpness, epsilon=1e-4, iterations=2))
    assert states([pair(points=7)], done) == ["begun"]
    assert states([pair(path="arc")], done) == ["begun"]
    assert states([pair(measures=more)], done) == ["begun"]
    assert states([pair(measures=MEASURES[:1])], done) == ["complete"]


def test_a_lost_file_is_missed(done, tmp_path):
    runs = tmp_path / "runs"
    for folder in done.iterdir():
        (runs / folder.name).mkdir(parents=True)
        for file in folder.iterdir():
            if file.name not in ("large_batch.safetensors", "sharpness.jsonl"):
                os.link(file, runs / folder.name / file.name)
    assert states([pair(measures=()), SINGLE], runs) == ["begun", "begun"]
    assert states([replace(SINGLE, measures=())], runs) == ["complete"]


def test_a_row_of_other_settings_does_not_count(done):
    (file,) = [f / "sharpness.jsonl" for f in done.iterdir() if (f / "solution.safetensors").exists()]
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["asked"]["batch_size"] for row in rows] == [60, 60]
    assert states([replace(SINGLE, measures=(partial(sharpness, epsilon=1e-3, iterations=3),))], done) == ["begun"]


def test_one_configuration_twice_is_refused(tmp_path):
    with pytest.raises(UsageError, match="runs 1 and 3 of the recipe train the same"):
        plan([pair(), SINGLE, pair(path="arc")], runs=tmp_path, device="cpu")


def test_a_batch_that_does_not_fit_is_refused_before_anything_is_trained(tmp_path):
    job = replace(SINGLE.job, config=replace(SMALL, batch_size=61))
    with pytest.raises(UsageError, match="choose one from 1 to 60"):
        plan([replace(SINGLE, job=job)], runs=tmp_path, device="cpu")


@pytest.mark.parametrize("size", [8, 16])
def test_a_large_batch_that_is_not_the_larger_one_is_refused(tmp_path, size):
    with pytest.raises(UsageError, match=f"the large batch of {size} is not larger than the small batch of 16"):
        plan([pair(large_batch=replace(SMALL, batch_size=size))], runs=tmp_path, device="cpu")


def test_a_path_without_the_minimizers_is_refused(tmp_path):
    with pytest.raises(UsageError, match="6 points from -1 to 2 leave out the minimizers"):
        plan([pair(points=6)], runs=tmp_path, device="cpu")


def test_a_gpu_s_runs_are_others(done):
    assert [run.state for run in plan([SINGLE], runs=done, device="cuda")] == ["to do"]
