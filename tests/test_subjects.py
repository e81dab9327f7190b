"""f at the minimizers of a run and at checkpoints of a task: the weights, buffers and frozen parts of each point."""

import pytest
import torch
from torch import nn

from cases import examples
from sharpmin import data
from sharpmin.errors import CheckpointError, RunError, UsageError
from sharpmin.objective import Objective
from sharpmin.runs import Run
from sharpmin.subjects import Evaluation, labels, of_run, of_task
from sharpmin.zoo import build

SPLIT = data.synthetic(shape=(1, 28, 28))
BATCH = Evaluation(batch_norm="batch")


def subset(size):
    train = data.subset(SPLIT.train, size, seed=0, classes=10)
    return data.Split(SPLIT.name, train, SPLIT.test, 10, True, SPLIT.source)


def test_a_runs_points_are_its_minimizers(finished_run):
    subject = of_run(finished_run, subset(60), BATCH)
    model = build("F1", seed=9)
    model.load_state_dict(Run(finished_run).load("large_batch")[0])
    direct = Objective(model, subset(60).train, batch_norm="batch")
    found = subject.at("LB")
    assert torch.equal(found.theta, direct.theta)
    assert found.value(found.theta) == direct.value(direct.theta)
    assert list(subject.points) == ["SB", "LB"]


def test_other_data_and_other_folders_are_refused(finished_run, tmp_path):
    with pytest.raises(RunError, match="other data"):
        of_run(finished_run, subset(50), BATCH)
    with pytest.raises(RunError, match="not a run folder"):
        of_run(tmp_path, subset(60), BATCH)


def reference(name):
    """f at a checkpoint, in the few lines anyone would write."""
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))
    model.load_state_dict(torch.load(f"{name}.pt"))
    found = examples(20, 4, dtype=torch.float32)
    with torch.no_grad():
        return nn.functional.cross_entropy(model.eval()(found.inputs), found.targets).item()


def test_each_checkpoint_brings_its_weights_buffers_and_frozen_parts(task, tmp_path):
    subject = of_task(task, ["a.pt", "b.pt"], Evaluation(), runs=tmp_path / "runs")
    for point in ("a", "b", "a"):
        f = subject.at(point)
        assert f.value(f.theta) == pytest.approx(reference(point), rel=1e-6)
        assert "0.bias" not in f.layout.names


def test_a_part_of_the_parameters(task, tmp_path):
    subject = of_task(task, ["a.pt"], Evaluation(only=["3.*"]), runs=tmp_path / "runs")
    f = subject.at("a")
    assert f.layout.names == ("3.weight", "3.bias")
    assert f.value(f.theta) == pytest.approx(reference("a"), rel=1e-6)


def test_without_checkpoints_the_weights_are_those_made(task, tmp_path):
    assert list(of_task(task, [], Evaluation(), runs=tmp_path / "runs").points) == ["weights"]


def test_around_a_point_recalibrated_statistics_are_held(task, tmp_path):
    subject = of_task(task, ["a.pt"], Evaluation(batch_norm="recalibrate"), runs=tmp_path / "runs")
    f = subject.around("a")
    assert f.batch_norm == "recalibrated"
    assert f.value(f.theta) == pytest.approx(subject.at("a").value(f.theta), rel=1e-6)


def test_the_same_task_and_checkpoints_find_their_folder_again_and_others_do_not(task, tmp_path):
    folders = [
        of_task(task, points, Evaluation(), runs=tmp_path / "runs").run.folder
        for points in (["a.pt"], ["a.pt"], ["b.pt"])
    ]
    assert folders[0] == folders[1] != folders[2]


def test_what_does_not_fit_is_known_before_anything_is_computed(task, tmp_path):
    torch.save({"weight": torch.zeros(2, 2)}, "other.pt")
    with pytest.raises(CheckpointError, match=r"other\.pt"):
        of_task(task, ["a.pt", "other.pt"], Evaluation(), runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    with pytest.raises(UsageError, match="named twice"):
        labels(["a.pt", "a.pt"])
