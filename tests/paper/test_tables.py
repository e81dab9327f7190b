"""The paper's tables from run folders: which rows count, and their means."""

import json
import math
import statistics

import pytest

from sharpmin.cli import run
from sharpmin.disk import write_json
from sharpmin.errors import RunError, UsageError
from sharpmin.paper.tables import cells, markdown, remarks
from sharpmin.runs import Run


def trial(folder, seed, *, network="F1"):
    """A run folder with made-up numbers that depend on the seed."""
    write_json(folder / "settings.json", {"network": network})
    for name in ("small_batch", "large_batch"):
        (folder / f"{name}.safetensors").touch()
    here = Run(folder)
    line = [{"alpha": a, "train_accuracy": 0.9 + a / 100, "test_accuracy": 0.8 + seed / 100} for a in (-1.0, 0.0, 1.0)]
    here.write_lines("line-4-5000.jsonl", line)
    row = {"minimizer": "SB", "epsilon": 1e-3, "subspace": None, "start": "corner", "value": seed + 1.0}
    others = [{**row, "start": "zero", "value": 99.0}, {**row, "subspace": 100, "value": 50.0 + seed}]
    here.write_lines("sharpness.jsonl", [{**row, "value": -1.0}, row, *others])
    return folder


@pytest.fixture
def trials(tmp_path):
    return [trial(tmp_path / str(seed), seed) for seed in range(3)]


def test_means_and_deviations_over_trials(trials):
    found = {(c.table, c.regime, c.quantity, c.epsilon): c for c in cells(trials)}
    full = found[3, "SB", "sharpness", 1e-3]
    assert full.values == (1.0, 2.0, 3.0)  # the last row of each, from the corner, in the full space
    assert (full.ours.mean, full.ours.deviation, full.published) == (2.0, 1.0, (1.23, 0.83))
    assert found[4, "SB", "sharpness", 1e-3].ours.mean == 51
    test = found[2, "SB", "test accuracy", None]
    assert test.ours.deviation == pytest.approx(statistics.stdev([80, 81, 82]))
    assert found[2, "LB", "train accuracy", None].ours.mean == pytest.approx(91)
    assert (3, "LB", "sharpness", 1e-3) not in found  # nothing was measured there


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"asked": {"iterations": 1, "only": ["16.*"]}}, "1 iteration, only 16.*"),
        ({"asked": {"iterations": 30}}, "30 iterations"),
        ({"solver": "scipy"}, "solver scipy"),
        ({"seed": -1}, "seed -1"),
        ({"batch_norm": "running"}, "batch norm running"),
        ({"batch_size": 100}, "batch size 100"),
        ({"precision": "bfloat16"}, "precision bfloat16"),
    ],
)
def test_what_was_measured_otherwise_than_in_the_paper_is_left_out_and_told(trials, other, told):
    here, before = Run(trials[0]), cells(trials)
    line = {"minimizer": "SB", "epsilon": 1e-3, "subspace": None, "start": "corner", "value": 99.0, **other}
    here.write_lines("sharpness.jsonl", [*here.read_lines("sharpness.jsonl"), line])
    assert cells(trials) == before
    assert list(remarks(trials, before)) == [
        f"Left out of Table 3, as not measured like the paper's: start zero; {told}."
    ]


def test_a_training_set_of_less_than_5000_is_one_evaluation_batch(tmp_path):
    folder = trial(tmp_path / "few", 0)
    write_json(folder / "settings.json", {"network": "F1", "data": {"train": 2000}})
    rows = [{**row, "batch_size": 2000} for row in Run(folder).read_lines("sharpness.jsonl")]
    Run(folder).write_lines("sharpness.jsonl", rows)
    assert {cell.table for cell in cells([folder])} == {2, 3, 4}


def test_what_is_missing_is_told_with_its_command(trials, capsys):
    (trials[0] / "sharpness.jsonl").unlink()
    assert run(["tables", str(trials[0])]) == 0
    said = capsys.readouterr().out
    assert f"Table 3 needs sharpmin sharpness {trials[0]}, and so for each run." in said
    assert f"Table 4 needs sharpmin sharpness {trials[0]} --subspace 100, and so for each run." in said
    (trials[0] / "line-4-5000.jsonl").unlink()
    assert run(["tables", str(trials[0])]) == 1
    said = capsys.readouterr()
    assert "there is nothing to make tables of: Table 2 needs both minimizers evaluated" in said.err
    assert said.out == ""


def test_a_finer_line_without_the_minimizers_is_passed_over(trials):
    before = cells(trials)
    row = {"alpha": 0.125, "train_accuracy": 0.1, "test_accuracy": 0.1}
    Run(trials[0]).write_lines("line-9-5000.jsonl", [row])
    assert cells(trials) == before


def test_a_loss_that_is_none_makes_a_mean_that_is_none(trials):
    rows = Run(trials[0]).read_lines("line-4-5000.jsonl")
    Run(trials[0]).write_lines("line-4-5000.jsonl", [{**row, "test_accuracy": math.nan} for row in rows])
    table = markdown(cells(trials))
    assert "| 2 | F1 | SB | test accuracy |  | 3 | nan | 98.03 ± 0.07 | nan |" in table
    assert "| 2 | F1 | SB | train accuracy |  | 3 | 90.00 ± 0.00 |" in table


def test_one_trial_has_no_deviation(trials):
    (cell,) = (c for c in cells(trials[:1]) if c.table == 3)
    assert cell.ours.deviation is None
    assert "| 1 | 1.00 | 1.23" in markdown([cell])


def test_command_line(trials, tmp_path, capsys):
    assert run(["tables", *map(str, trials), "--json", str(tmp_path / "rows.json")]) == 0
    assert "| 3 | F1 | SB | sharpness | 0.001 | 3 | 2.00 ± 1.00 | 1.23 ± 0.83 | 1.63 |" in capsys.readouterr().out
    assert json.loads((tmp_path / "rows.json").read_text())[0]["values"]
    assert run(["tables"]) == 2
    assert "give the run folders" in capsys.readouterr().err


def test_runs_of_two_experiments_make_no_table(trials, tmp_path):
    with pytest.raises(UsageError, match=r"differ in more than the seed \(network: F1 and C1\)"):
        cells([*trials, trial(tmp_path / "other", 0, network="C1")])
    assert run(["tables", *map(str, trials), str(tmp_path / "other")]) == 2  # as from the report
    with pytest.raises(RunError, match="no runs"):
        cells([])


def test_single_trainings_that_a_glob_names_too_are_left_out(trials, tmp_path, capsys):
    alone = tmp_path / "alone"
    write_json(alone / "settings.json", {"network": "F1", "config": {}})
    assert run(["tables", *map(str, trials)]) == 0
    without = capsys.readouterr().out
    assert run(["tables", str(alone), *map(str, trials)]) == 0
    assert capsys.readouterr().out == without
