"""`sharpmin plan` says what a training takes, and what would fit."""

import json

from sharpmin.cli import run
from sharpmin.cli.plan import duration, refusal
from sharpmin.planning import Forecast

QUICK = ["--batch-size=600", "--train-size=1500", "--threads=1", "--seconds=0.1", "--epochs=3"]


def test_what_fits(capsys, tmp_path):
    out = tmp_path / "plan.json"
    assert run(["plan", "F1", *QUICK, "--memory", "30", "--json", str(out)]) == 0
    said = capsys.readouterr().out
    assert "F1 at batch 600 in float32" in said
    assert "stages keep everything" in said
    assert "3 steps" in said
    assert "3 epochs" in said
    found = json.loads(out.read_text())
    assert found["data"] == 1500 * 784 * 4
    assert found["peak"] < found["allowed"] == 30 * 2**30
    assert found["environment"]["threads"] == 1
    assert found["step"]["n"] == len(found["timed"]["rounds"]) == 3


def test_what_does_not_fit_says_what_would(capsys):
    assert run(["plan", "F1", *QUICK, "--memory", "0.1"]) == 1
    said = capsys.readouterr()
    assert "peak of 0.10 allowed" in said.out
    assert "compute the cheap rest again" in said.out
    assert "does not fit: about" in said.err
    assert "no batch would: allow more memory" in said.err


def test_an_unknown_network_is_named(capsys):
    assert run(["plan", "C9"]) == 2
    assert "unknown network 'C9'" in capsys.readouterr().err


def test_a_refusal_names_the_largest_batch():
    parts = dict.fromkeys(("process", "data", "weights", "batch", "activations", "in_flight"), 2.0**30)
    rest = dict.fromkeys(("step", "timed", "usage", "keep", "precision"))
    found = Forecast(batch_size=9, examples=10, allowed=5.0 * 2**30, largest=7, **parts, **rest)
    assert refusal(found).endswith("--memory 6 would do, if this machine has it; --batch-size 7 would")


def test_durations():
    assert [duration(s) for s in (0.04, 59.9, 75, 90_000)] == ["0.0 s", "59.9 s", "1:15", "25:00:00"]
