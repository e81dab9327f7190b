"""`sharpmin compare`: the table, the verdict and what is kept."""

import json

import pytest

from sharpmin import comparison
from sharpmin.cli import run
from sharpmin.errors import UsageError

QUICK = ["--threads", "1", "--quiet"]


def test_two_checkpoints_and_a_verdict(task, tmp_path, capsys):
    assert run(["compare", task, "a.pt", "b.pt", *QUICK]) == 0
    shown = capsys.readouterr().out
    for name in ("metric-2.1", "adaptive", "lambda-max", "noise-scale", "|theta|"):
        assert name in shown
    kept = json.loads(next((tmp_path / "runs").glob("*/compare.json")).read_text())
    assert kept["verdict"] in shown
    assert [point["point"] for point in kept["points"]] == ["a", "b"]
    assert {(r["measure"], r["minimizer"]) for r in kept["readings"]} == {
        (m, p) for m in ("metric-2.1", "adaptive", "lambda-max", "noise-scale") for p in "ab"
    }
    assert all(r["value"] == r["value"] for r in kept["readings"]), "every measure has its number, lambda-max as well"
    assert any('by the policy "running"' in caveat for caveat in kept["caveats"])


def test_the_policy_named_is_the_one_asked_for(task, tmp_path, recwarn):
    command = ["compare", task, "a.pt", "b.pt", "--measures", "lambda-max", "--batch-norm", "recalibrate", *QUICK]
    assert run(command) == 0
    kept = json.loads(next((tmp_path / "runs").glob("*/compare.json")).read_text())
    assert any('by the policy "recalibrate"' in caveat for caveat in kept["caveats"])
    assert {reading["batch_norm"] for reading in kept["readings"]} == {"recalibrated"}


def test_a_run_folder_has_test_data_to_judge_by(finished_run, capsys):
    command = ["compare", str(finished_run), "--data", "synthetic", "--measures", "metric-2.1", "adaptive", *QUICK]
    assert run(command) == 0
    shown = capsys.readouterr().out
    assert "test accuracy" in shown
    assert "of 2 measures" in shown or "cannot tell" in shown
    assert "lambda-max" not in shown


def test_a_measure_that_cannot_be_taken_costs_no_other(task, tmp_path, capsys, monkeypatch):
    def fails(*args, **kwargs):
        raise UsageError("at least 3 batches are needed")

    monkeypatch.setitem(comparison.MEASURES, "noise-scale", fails)
    assert run(["compare", task, "a.pt", "b.pt", "--measures", "noise-scale", "adaptive", *QUICK]) == 0
    shown = capsys.readouterr().out
    assert "- noise-scale could not be taken at a: at least 3 batches are needed" in shown
    kept = json.loads(next((tmp_path / "runs").glob("*/compare.json")).read_text())
    assert [r["value"] for r in kept["readings"] if r["measure"] == "adaptive" and r["value"] > 0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a.pt"], "comparing takes two checkpoints or more"),
        (["a.pt", "b.pt", "--measures", "flatness"], "no such measure: flatness; choose among metric-2.1"),
    ],
)
def test_bad_input(arguments, says, task, capsys):
    assert run(["compare", task, *arguments, *QUICK]) == 2
    assert says in capsys.readouterr().err
