"""Made-up data never pass for real ones: every figure, table and page of theirs says so. F2 in its own shape is one."""

import json
import shutil

import pytest

from sharpmin import plots
from sharpmin.cli import run
from sharpmin.paper import parametric_plot
from sharpmin.paper.inputs import MADE_UP

F2 = "plot -n F2 --data synthetic --train-size 60 --epochs 1 --small-batch 3 --points 4 --threads 1 --quiet"


def test_the_parametric_plot_of_f2_in_its_shape(tmp_path):
    assert run([*F2.split(), "--out", str(tmp_path)]) == 0
    numbers = parametric_plot.load(tmp_path / "Figures" / "F2.json")
    assert (numbers.data["shape"], numbers.data["classes"], numbers.data["synthetic"]) == ([360], 1973, True)
    (axes, _) = plots.parametric(numbers).axes
    assert axes.get_title() == "F2 on synthetic (made up, not real data), 60 training examples, 1 and 1 epochs"


def test_training_curves(finished_run, tmp_path, monkeypatch):
    titles = []
    draw = plots.training_curves
    monkeypatch.setattr(plots, "training_curves", lambda *a, title: titles.append(title) or draw(*a, title=title))
    assert run(["paper", "training-curves", str(finished_run), "--out", str(tmp_path)]) == 0
    assert titles == ["F1 on synthetic (made up, not real data)"]


@pytest.mark.parametrize("verb", ["tables", "paper distances"])
def test_tables(verb, finished_run, capsys):
    assert run([*verb.split(), str(finished_run)]) == 0
    assert MADE_UP in capsys.readouterr().out


def test_a_measure(finished_run, tmp_path, capsys):
    mine = shutil.copytree(finished_run, tmp_path / finished_run.name)  # rows of one iteration are nobody else's
    assert run(["sharpness", str(mine), "--epsilon", "0.001", "--iterations", "1", "--threads", "1"]) == 0
    assert MADE_UP in capsys.readouterr().out


def test_the_json_of_tables(finished_run, tmp_path):
    assert run(["tables", str(finished_run), "--json", str(tmp_path / "rows.json")]) == 0
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert rows
    assert all(row["synthetic"] for row in rows)


def test_the_report(finished_run, tmp_path):
    assert run(["report", str(finished_run), "-o", str(tmp_path / "page.html")]) == 0
    assert "The data are synthetic: made up, not real." in (tmp_path / "page.html").read_text()
