"""`sharpmin sharpness` on a run folder and on a task of one's own."""

import json

import pytest

from sharpmin import Objective
from sharpmin.cli import run
from sharpmin.measures import sharpness
from sharpmin.runs import Run
from sharpmin.zoo import build
from test_subjects import subset

QUICK = ["--data", "synthetic", "--threads", "1", "--quiet"]


def test_the_rows_are_the_library_calls_at_the_stored_weights(finished_run, capsys):
    assert run(["sharpness", str(finished_run), *QUICK, "--compare", "--epsilon", "1e-3", "5e-4"]) == 0
    assert "205.14 ± 69.52" in capsys.readouterr().out
    rows = Run(finished_run).read_lines("sharpness.jsonl")
    assert [(row["minimizer"], row["epsilon"]) for row in rows] == [
        ("SB", 1e-3), ("SB", 5e-4), ("LB", 1e-3), ("LB", 5e-4),
    ]  # fmt: skip
    model = build("F1", seed=9)
    model.load_state_dict(Run(finished_run).load("large_batch")[0])
    direct = sharpness(Objective(model, subset(60).train, batch_norm="batch"), epsilon=1e-3)
    assert rows[2]["value"] == direct.value > 0
    assert not list(finished_run.glob("unfinished*"))


def test_the_paper_s_row_stands_only_beside_the_paper_s_settings(finished_run, capsys):
    command = ["sharpness", str(finished_run), *QUICK, "--compare", "--iterations", "1", "--only", "16.*"]
    for _ in range(2):  # measured, and read
        assert run(command) == 0
        said = capsys.readouterr().out
        assert "205.14" not in said
        assert "The paper has no numbers by these settings: 1 iteration, only 16.*." in said


def test_what_a_run_folder_has_is_not_computed_again(finished_run, capsys, monkeypatch):
    command = ["sharpness", str(finished_run), *QUICK, "--epsilon", "1e-2", "--start", "zero", "--iterations", "2"]
    assert run(command) == 0
    before, first = (finished_run / "sharpness.jsonl").read_text(), capsys.readouterr().out
    monkeypatch.setattr(Objective, "value_and_grad", None)
    assert run(command) == 0
    assert capsys.readouterr().out == first
    assert (finished_run / "sharpness.jsonl").read_text() == before


def test_checkpoints_of_ones_own(task, tmp_path, capsys):
    command = ["sharpness", task, "a.pt", "b.pt", "--epsilon", "1e-3", "--subspace", "5", "--threads", "1", "--quiet"]
    assert run([*command, "--start", "corner", "zero"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("5 random") == 4
    rows = [json.loads(line) for line in next((tmp_path / "runs").glob("*/sharpness.jsonl")).read_text().splitlines()]
    assert {(row["minimizer"], row["start"]) for row in rows} == {(p, s) for p in "ab" for s in ("corner", "zero")}
    assert {row["batch_norm"] for row in rows} == {"running"}


def test_an_interrupted_measurement_goes_on_where_it_was(finished_run, capsys, monkeypatch):
    compute, calls = Objective.value_and_grad, []

    def counting(self, theta):
        calls.append(None)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return compute(self, theta)

    monkeypatch.setattr(Objective, "value_and_grad", counting)
    command = ["sharpness", str(finished_run), *QUICK, "--epsilon", "2e-3"]
    assert run(command) == 130
    assert "goes on from there" in capsys.readouterr().err
    assert run(command) == 0
    assert len(calls) == 5 + 1 + (12 - 4) + 12  # what was done is done; one is made again to see that it is the same
    rows = Run(finished_run).read_lines("sharpness.jsonl")
    monkeypatch.setattr(Objective, "value_and_grad", compute)
    model = build("F1", seed=9)
    model.load_state_dict(Run(finished_run).load("small_batch")[0])
    direct = sharpness(Objective(model, subset(60).train, batch_norm="batch"), epsilon=2e-3)
    assert next(r for r in rows if r["epsilon"] == 2e-3)["value"] == direct.value


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nowhere:make"], 2, "no module 'nowhere'"),
        (["."], 1, "is not a run folder"),
        (["mytask.py:make", "missing.pt"], 1, "missing.pt"),
        (["mytask.py:make", "a.pt", "--epsilon", "0"], 2, "epsilon is 0"),
        (["mytask.py:make", "a.pt", "--subspace", "100000"], 2, "does not fit"),
        (["mytask.py:make", "a.pt", "--only", "9.*"], 2, "no parameter matches"),
    ],
)
def test_bad_input(arguments, code, says, task, capsys):
    assert run(["sharpness", *arguments, "--quiet"]) == code
    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 1


def test_the_point_where_the_loss_became_infinite_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "steep.py").write_text(
        "import torch\n"
        "def loss(model, batch):\n"
        "    w = model.weight.sum()\n"
        "    return torch.where(w < 0.01, w, torch.inf)[None]\n"
        "def make():\n"
        "    model = torch.nn.Linear(2, 1, bias=False)\n"
        "    torch.nn.init.zeros_(model.weight)\n"
        "    return model, [None], loss\n"
    )
    assert run(["sharpness", "steep.py:make", "--epsilon", "0.1", "--quiet", "--threads", "1"]) == 0
    (kept,) = tmp_path.glob("runs/*/infinite-weights-0.1.safetensors")
    where = Run(kept.parent).load(kept.stem)[0]["displacement"]
    assert where.sum() >= 0.01


@pytest.mark.parametrize("verb", ["sharpness", "spectrum", "noise-scale"])
def test_statistics_estimated_at_the_checkpoint_are_called_so(task, tmp_path, recwarn, verb):
    for policy in ("running", "recalibrate"):
        assert run([verb, task, "a.pt", "--batch-norm", policy, "--threads", "1", "--quiet"]) == 0
    (rows,) = (Run(file.parent).read_lines(file.name) for file in tmp_path.glob("runs/*/*.jsonl"))
    assert list(dict.fromkeys(row["batch_norm"] for row in rows)) == ["running", "recalibrated"]
