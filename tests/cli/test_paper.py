"""`sharpmin paper`: the list, and what has no verb of its own."""

import re

import pytest

from sharpmin.cli import app, run
from sharpmin.paper.contents import CONTENTS


@pytest.mark.parametrize("command", ["paper", "paper --list"])
def test_the_list_names_every_table_and_figure(command, capsys):
    assert run(command.split()) == 0
    shown = capsys.readouterr().out
    for name in (*(f"Table {i}" for i in range(1, 5)), *(f"Figure {i}" for i in range(2, 8)), "Appendix C"):
        assert name in shown


def test_the_commands_of_the_list_exist():
    for entry in CONTENTS:
        for verb, sub in re.findall(r"sharpmin ([\w-]+)(?: ([\w-]+))?", entry.command):
            assert verb in app, verb
            assert verb != "paper" or sub in app["paper"], sub


def test_networks(capsys):
    assert run(["paper", "networks"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"C1 .*1,757,834 +256 +5,000", shown)
    assert re.search(r"TIMIT +721,329", shown)


def test_training_curves(finished_run, tmp_path, capsys):
    assert run(["paper", "training-curves", str(finished_run), "--out", str(tmp_path)]) == 0
    assert sorted(file.suffix for file in (tmp_path / "Figures").iterdir()) == [".pdf", ".png"]
    assert "Plot saved" in capsys.readouterr().out


def test_distances(finished_run, capsys):
    assert run(["paper", "distances", str(finished_run)]) == 0
    assert re.search(r"SB / LB: \d+\.\d\d \(n = 1\); the paper: 3 to 10", capsys.readouterr().out)
    assert run(["paper", "distances"]) == 2


def test_performance(capsys):
    command = "paper performance --efficiency 0.2 --small-batch 256 --large-batch 2560"
    assert run(command.split()) == 0
    assert "less than 0.5 times the iterations" in capsys.readouterr().out
    assert run([*command.split(), "--small-iterations", "4000", "--large-iterations", "1000"]) == 0
    assert "it is 2 times as fast" in capsys.readouterr().out
    assert run([*command.split(), "--small-iterations", "4000"]) == 2
    assert "together, or neither" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["tables", "paper distances", "paper training-curves", "report"])
def test_a_single_training_is_no_pair(verb, tmp_path, capsys):
    (tmp_path / "settings.json").write_text('{"network": "F1", "config": {}}')
    assert run([*verb.split(), str(tmp_path)]) == 1
    assert "is a single training and has no two minimizers" in capsys.readouterr().err
