"""`sharpmin noise-scale` at checkpoints of one's own and at a run's."""

from sharpmin import Objective
from sharpmin.cli import run
from sharpmin.measures import noise_scale
from sharpmin.runs import Run
from sharpmin.zoo import build
from test_subjects import subset

QUICK = ["--threads", "1", "--quiet"]


def test_checkpoints_of_ones_own(task, tmp_path, capsys):
    assert run(["noise-scale", task, "a.pt", "b.pt", *QUICK]) == 0
    assert "examples" in capsys.readouterr().out
    rows = Run(next((tmp_path / "runs").iterdir())).read_lines("noise-scale.jsonl")
    assert [(row["minimizer"], row["estimator"]) for row in rows] == [("a", "examples"), ("b", "examples")]


def test_a_runs_rows_are_the_library_calls(finished_run, capsys):
    command = ["noise-scale", str(finished_run), "--data", "synthetic", "--evaluation-batch", "6", *QUICK]
    assert run(command) == 0
    rows = Run(finished_run).read_lines("noise-scale.jsonl")
    model = build("F1", seed=9)
    model.load_state_dict(Run(finished_run).load("large_batch")[0])
    direct = noise_scale(Objective(model, subset(60).train, batch_norm="batch", batch_size=6))
    assert (rows[1]["value"], rows[1]["batch_size"]) == (direct.value, 6)
