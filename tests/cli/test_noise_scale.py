"""`sharpmin noise-scale` at checkpoints of one's own and at a run's."""

import pytest

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


def test_a_run_of_one_evaluation_batch_is_measured_by_eighths_of_it(finished_run, capsys):
    assert run(["noise-scale", str(finished_run), "--data", "synthetic", *QUICK]) == 0
    assert Run(finished_run).read_lines("noise-scale.jsonl")[-1]["batch_size"] == 60 // 8
    assert capsys.readouterr().out.count("holds for batches of this size") == 2


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (
            "--estimator examples",
            "use --estimator batches, or, where the model keeps running statistics, --batch-norm r",
        ),
        ("--noise-batch 0", "--noise-batch is 0: it must be at least 1"),
        ("--noise-batch 40", "with a smaller --noise-batch or more examples"),
        ("--max-batches 2", "--max-batches is 2: it must be at least 3"),
        ("--evaluation-batch 0", "--evaluation-batch 0: give at least 1"),
    ],
)
def test_what_cannot_be_measured_names_the_options(finished_run, option, said, capsys):
    assert run(["noise-scale", str(finished_run), "--data", "synthetic", *QUICK, *option.split()]) == 2
    assert said in capsys.readouterr().err
