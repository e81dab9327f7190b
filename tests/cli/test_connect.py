"""`sharpmin connect`: figure and numbers, and a training that was killed for real."""

import json
import signal

import pytest
import torch
from safetensors.torch import load_file

from forked import exit_code, start
from sharpmin.cli import app, run

QUICK = ["--threads", "1", "--quiet"]
SMALL = ["--epochs", "2", "--batch-size", "8", "--points", "5", *QUICK]
TINY = ["--epochs", "1", "--batch-size", "60", "--points", "2", *QUICK]
BATCH = ["--batch-norm", "batch"]

KILLS_ITSELF = """
import os, signal, sys, warnings
from pathlib import Path
from sharpmin.cli import main

countdown, replace = int(sys.argv.pop(1)), Path.replace
warnings.simplefilter("ignore")

def killed_before(self, target):
    global countdown
    countdown -= ".checkpoint." in Path(target).name
    if not countdown:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)

Path.replace = killed_before
main()
"""


def test_figure_numbers_and_table(task, tmp_path, capsys, recwarn):
    assert run(["connect", task, "a.pt", "b.pt", "--kind", "polygon", "--batch-norm", "recalibrate", *SMALL]) == 0
    shown = capsys.readouterr().out
    assert "recalibrate" in shown
    assert "trained with BatchNorm: batch" in shown
    numbers = json.loads((tmp_path / "Figures" / "a-to-b-polygon.json").read_text())
    train = numbers["train"]
    assert (numbers["ends"], numbers["aligned"], numbers["test"]) == (["a", "b"], None, None)
    assert train["ts"] == [0, 0.25, 0.5, 0.75, 1]
    assert (train["losses"][0], train["losses"][-1]) == (train["line"]["losses"][0], train["line"]["losses"][-1])
    assert train["barriers"]["curve"]["height"] >= 0
    assert (train["batch_norm"], train["training_batch_norm"]) == ("recalibrate", "batch")
    assert load_file(numbers["curve"])["bends"].shape == (1, 5 * 4 + 2 * 5 + 3 * 5 + 3)
    assert all((tmp_path / "Figures" / f"a-to-b-polygon.{suffix}").stat().st_size > 1000 for suffix in ("pdf", "png"))


def test_finished_it_is_only_drawn_and_another_seed_is_another_curve(task, tmp_path, monkeypatch, recwarn):
    command = ["connect", task, "a.pt", "b.pt", *BATCH, *SMALL]
    assert run(command) == 0
    before = (tmp_path / "Figures" / "a-to-b-bezier.json").read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr("sharpmin.landscape.connecting.train_epoch", lambda *_, **__: pytest.fail("trained again"))
        assert run(command) == 0
    assert (tmp_path / "Figures" / "a-to-b-bezier.json").read_bytes() == before
    assert run([*command, "--seed", "1"]) == 0
    assert len(list(tmp_path.glob("runs/*/curve-*"))) == 2


@pytest.mark.parametrize("flag", ["--optimizer", "--solver"])
def test_the_optimizer_goes_by_its_earlier_name_too(flag):
    _, bound, _ = app.parse_args(["connect", "mytask:make", flag, "sgd"])
    assert bound.arguments["optimizer"] == "sgd"


def test_aligned_first(task, tmp_path, recwarn):
    assert run(["connect", task, "a.pt", "b.pt", "--align", *BATCH, *SMALL]) == 0
    numbers = json.loads((tmp_path / "Figures" / "a-to-b-aligned-bezier.json").read_text())
    assert numbers["aligned"]["after"] >= numbers["aligned"]["before"]


def test_a_run_folder_has_two_ends_and_test_data(finished_run, tmp_path, capsys):
    assert run(["connect", str(finished_run), "--data", "synthetic", "--out", str(tmp_path), *TINY]) == 0
    assert "test data" in capsys.readouterr().out
    assert (tmp_path / "Figures" / f"{finished_run.name}-SB-to-LB-bezier.json").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a.pt", *BATCH], "this takes two ends and got a: give two checkpoints"),
        (["a.pt", "b.pt"], 'choose the policy "recalibrate"'),
        (["a.pt", "b.pt", *BATCH, "--epochs", "0"], "epochs is 0"),
        (["a.pt", "b.pt", *BATCH, "--points", "1"], "1 points do not make a curve"),
        (["a.pt", "b.pt", *BATCH, "--align", "--only", "3.*"], "leave --only out"),
    ],
)
def test_bad_input(arguments, says, task, capsys, recwarn):
    assert run(["connect", task, *arguments, *QUICK]) == 2
    assert says in capsys.readouterr().err


def test_a_curve_that_is_not_ones_own_is_named(task, tmp_path, capsys, recwarn):
    command = ["connect", task, "a.pt", "b.pt", *BATCH, *SMALL]
    assert run(command) == 0
    (curve,) = tmp_path.glob("runs/*/curve-*")
    curve.write_bytes(b"spoiled")
    assert run(command) == 1
    assert f"cannot read {curve.relative_to(tmp_path)}" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a system with SIGKILL")
def test_killed_and_started_again_the_bits_are_those_of_an_uninterrupted_training(task, tmp_path, recwarn):
    command = ["connect", task, "a.pt", "b.pt", *BATCH, "--epochs", "4", "--batch-size", "8", "--points", "3", *QUICK]
    assert exit_code(start(KILLS_ITSELF, "3", *command, "--out", "killed")) == -signal.SIGKILL
    (checkpoint,) = tmp_path.glob("killed/runs/*/curve-*")
    assert checkpoint.name.endswith(".checkpoint.safetensors")
    curves, numbers = [], []
    for out in ("killed", "whole"):
        assert run([*command, "--out", out]) == 0
        (file,) = tmp_path.glob(f"{out}/runs/*/curve-*")
        curves.append(load_file(file))
        drawn = json.loads((tmp_path / out / "Figures" / "a-to-b-bezier.json").read_text())
        numbers.append({**drawn["train"], "seconds": None})
    assert numbers[0] == numbers[1]
    assert curves[0].keys() == curves[1].keys()
    assert all(torch.equal(curves[0][name], curves[1][name]) for name in curves[0])
