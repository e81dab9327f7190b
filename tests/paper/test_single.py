"""One training in a run folder, watched and unwatched."""

from dataclasses import replace

import pytest
import torch

from cases import same_bits, toy
from sharpmin.errors import RunError, SharpminError, UsageError
from sharpmin.monitor import MEASURES, read_rows
from sharpmin.objective import Objective
from sharpmin.paper import minimizers, single
from sharpmin.paper.jobs import Single
from sharpmin.paper.single import Watch, compute
from sharpmin.train_config import TrainConfig
from sharpmin.training import train
from sharpmin.zoo import build

SPLIT = toy()
JOB = Single("F1", 3, TrainConfig(batch_size=25, epochs=3, seed=3, optimizer="sgd", learning_rate=0.05, momentum=0.9))
WATCH = Watch(every=2, share=1.0, examples=40, measures=("loss", "distance"))


def computed(runs, job=JOB, watch=None):
    return compute(job, SPLIT, runs=runs, environment={"threads": 1}, watch=watch)


def test_it_is_one_training_from_x0(tmp_path):
    state, run = computed(tmp_path)
    model = build("F1", seed=3, shape=(6,), classes=3)
    assert same_bits(run.load("x0")[0], {name: p.detach() for name, p in model.named_parameters()})
    expected = train(model, SPLIT.train, JOB.config, test=SPLIT.test)
    assert same_bits(state.weights, expected.weights)
    assert same_bits(run.load("solution")[0], expected.weights)
    assert [line["epoch"] for line in run.read_lines("solution.history.jsonl")] == [1, 2, 3]


def test_a_watched_training_has_the_same_bits_and_folder(tmp_path):
    plain, plain_run = computed(tmp_path / "plain")
    every = replace(WATCH, every=5, measures=tuple(MEASURES))
    watched, run = computed(tmp_path / "watched", watch=every)
    assert same_bits(plain.weights, watched.weights)
    assert run.folder.name == plain_run.folder.name
    rows = read_rows(run.folder / "curvature.jsonl")
    assert [row["step"] for row in rows] == [0, 5]
    assert not any(row["errors"] for row in rows)
    assert [row["evidence"]["loss"]["examples"] for row in rows] == [40, 40]
    assert rows[0]["distance"] == 0 < rows[1]["distance"]


def test_the_rows_are_of_the_weights_at_their_step(tmp_path):
    _, run = computed(tmp_path, watch=WATCH)
    model, seen = build("F1", seed=3, shape=(6,), classes=3), {}
    f = Objective(model, single.subset(SPLIT.train, 40, seed=3, classes=3), batch_norm="batch")
    train(model, SPLIT.train, JOB.config, after_step=lambda step: seen.update({step: f.value(f.theta)}))
    rows = read_rows(run.folder / "curvature.jsonl")
    assert [(row["step"], row["loss"]) for row in rows[1:]] == [(step, seen[step]) for step in (2, 4, 6)]


def test_killed_and_gone_on_with_no_row_is_there_twice_and_the_bits_are_the_same(tmp_path, monkeypatch):
    whole, whole_run = computed(tmp_path / "whole", watch=WATCH)

    def killed(run, name, state, *, finished):
        if state.epochs == 2:  # its checkpoint is not written; step 4 is measured
            raise KeyboardInterrupt
        save(run, name, state, finished=finished)

    save = minimizers.Run.save_state
    with monkeypatch.context() as patch:
        patch.setattr(minimizers.Run, "save_state", killed)
        with pytest.raises(KeyboardInterrupt):
            computed(tmp_path / "killed", watch=WATCH)
    state, run = computed(tmp_path / "killed", watch=WATCH)
    assert same_bits(state.weights, whole.weights)
    rows, expected = (read_rows(r.folder / "curvature.jsonl") for r in (run, whole_run))
    assert [row["step"] for row in rows] == [0, 2, 4, 6]
    for row, other in zip(rows, expected, strict=True):
        assert (row["loss"], row["distance"]) == (other["loss"], other["distance"])


def test_a_finished_training_is_not_trained_again_nor_measured(tmp_path, monkeypatch):
    state, _ = computed(tmp_path)
    monkeypatch.setattr(minimizers, "train", lambda *_, **__: pytest.fail("trained again"))
    again, run = computed(tmp_path, watch=WATCH)
    assert same_bits(again.weights, state.weights)
    assert read_rows(run.folder / "curvature.jsonl") == []


def test_another_optimizer_has_another_folder(tmp_path):
    folders = {computed(tmp_path, replace(JOB, config=replace(JOB.config, **other)))[1].folder for other in OTHERS}
    assert len(folders) == 3


OTHERS = ({"epochs": 1}, {"epochs": 1, "momentum": 0.0}, {"epochs": 1, "optimizer": "adagrad", "momentum": 0.0})


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"every": 0}, "every is 0"),
        ({"share": 2}, "share is 2"),
        ({"examples": 0}, "0 examples"),
        ({"measures": ("x",)}, "x"),
    ],
)
def test_a_watch_that_makes_no_sense(bad, says):
    with pytest.raises(UsageError, match=says):
        replace(WATCH, **bad)


def test_what_cannot_be_trained(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="batch size 51"):
        computed(tmp_path, replace(JOB, config=replace(JOB.config, batch_size=51)))
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("sharpmin.memory.available_memory", lambda: 2**20)
    with pytest.raises(SharpminError, match="out of memory: a batch of 25"):
        computed(tmp_path)


def test_a_folder_with_weights_of_another_network_is_refused(tmp_path):
    _, run = computed(tmp_path, replace(JOB, config=replace(JOB.config, epochs=1)))
    run.save("solution", {"weight": torch.zeros(2)}, metadata={"history": "[]"})
    with pytest.raises(RunError, match="belongs to another run"):
        computed(tmp_path, replace(JOB, config=replace(JOB.config, epochs=1)))
