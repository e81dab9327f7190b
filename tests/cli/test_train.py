"""`sharpmin train`: one training, killed and gone on with, and every way to get it wrong."""

import os
import signal

import pytest

from cases import same_bits
from forked import exit_code, start
from sharpmin import runtime
from sharpmin.cli import run
from sharpmin.cli.train import NAMES
from sharpmin.monitor import MEASURES, read_rows
from sharpmin.runs import Run

JOB = "train -n F1 --data synthetic --train-size 96 --batch-size 32 --optimizer sgd --momentum 0.9 --quiet"
MONITOR = "--monitor --monitor-share 1 --monitor-examples 50"

KILLS_ITSELF = """
import os, signal, sys
from pathlib import Path
from sharpmin.cli import main

replace, seen = Path.replace, []

def killed_before(self, target):
    seen.append("solution.checkpoint" in Path(target).name)
    if sum(seen) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)

Path.replace = killed_before
main()
"""


@pytest.fixture(autouse=True)
def untuned(monkeypatch):
    """Leave this process's threads and allocator alone."""
    monkeypatch.setattr(runtime, "tune", lambda *, threads=None: runtime.Tuned(threads or 1, "left alone: a test"))
    monkeypatch.delenv("SHARPMIN_TRACEBACK", raising=False)


def trained(out, *options, epochs=3):
    assert run([*JOB.split(), *options, "--epochs", str(epochs), "--out", str(out)]) == 0
    (folder,) = out.glob("runs/*")
    return folder


def test_it_leaves_a_run_and_says_so(tmp_path, capsys):
    folder = trained(tmp_path)
    said = capsys.readouterr()
    assert "epoch 3:  train loss" in said.out
    assert f"Run folder: {folder}" in said.out
    assert said.err == ""
    assert sorted(os.listdir(folder)) == [
        "environment.json",
        "settings.json",
        "solution.history.jsonl",
        "solution.safetensors",
        "x0.safetensors",
    ]


def test_the_minimizer_can_be_measured(tmp_path, capsys):
    folder = trained(tmp_path, epochs=1)
    assert run(["sharpness", str(folder), "--iterations", "1", "--quiet"]) == 0
    assert " solution " in capsys.readouterr().out
    (folder / "solution.safetensors").unlink()
    assert run(["sharpness", str(folder), "--quiet"]) == 1
    assert "is not finished (solution missing): run its sharpmin train again" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a system with SIGKILL")
def test_killed_for_real_it_goes_on_to_the_same_bits_and_no_row_is_there_twice(tmp_path, capsys):
    options = [*MONITOR.split(), "--monitor-every", "4", "--measures", "loss", "distance"]
    command = [*JOB.split(), *options, "--epochs", "3", "--threads", "1", "--out", tmp_path / "killed"]
    assert exit_code(start(KILLS_ITSELF, *command)) == -signal.SIGKILL
    (partial,) = (tmp_path / "killed").glob("runs/*")
    assert [row["step"] for row in read_rows(partial / "curvature.jsonl")] == [0, 4]
    folders = [trained(tmp_path / name, *options) for name in ("killed", "whole")]
    states = [Run(folder).load("solution")[0] for folder in folders]
    assert same_bits(*states)
    rows = [read_rows(folder / "curvature.jsonl") for folder in folders]
    assert [[row["step"] for row in part] for part in rows] == [[0, 4, 8]] * 2
    assert [row["loss"] for row in rows[0]] == [row["loss"] for row in rows[1]]
    said = capsys.readouterr()
    assert "curvature.jsonl, 3 of the 3 rows due; the first and the last:" in said.out
    assert said.err == ""


def test_what_was_trained_without_a_monitor_is_not_measured_afterwards(tmp_path, capsys):
    trained(tmp_path)
    trained(tmp_path, *MONITOR.split())
    assert "Nothing was measured: this training had finished before." in capsys.readouterr().out


def test_rows_left_out_are_told(tmp_path, capsys):
    trained(tmp_path, "--monitor", "--monitor-every", "1", "--monitor-share", "1e-9", "--measures", "loss", epochs=1)
    assert "1 of the 4 rows due, the others left out to keep --monitor-share;" in capsys.readouterr().out


def test_every_measure_can_be_asked_for_and_they_are_the_monitors(tmp_path):
    assert set(NAMES) == set(MEASURES)
    folder = trained(tmp_path, *MONITOR.split(), epochs=1)
    (row,) = read_rows(folder / "curvature.jsonl")
    assert set(NAMES) <= set(row)
    assert row["errors"] == {}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("train", "--network"),
        ("train -n F9", "unknown network 'F9'"),
        ("train -n F1 --optimizer lion", "lion"),
        ("train -n F1 --data synthetic --momentum 0.5", "momentum 0.5 is of sgd: adam has none to choose"),
        ("train -n F1 --data synthetic --train-size 60 --batch-size 61", "batch size 61 does not fit"),
        ("train -n F1 --measures flatness", "no such measure: flatness; choose among loss, distance, lambda-max"),
        ("train -n F1 --monitor-share 0", "share is 0"),
        ("train -n F1 --monitor-every 0", "every is 0"),
        ("train -n F1 --monitor-examples 0", "0 examples to measure on"),
        ("train -n F2", "--data"),
    ],
)
def test_a_request_that_cannot_be_understood(arguments, says, tmp_path, capsys):
    assert run([*arguments.split(), "--out", str(tmp_path), "--quiet"]) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert said.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
