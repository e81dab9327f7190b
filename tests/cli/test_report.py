"""`sharpmin report`: what it says and leaves, and how it fails."""

import pytest

from report.made import run_folder, runs
from sharpmin.cli import run


def test_it_says_the_verdict_and_leaves_one_file(tmp_path, capsys):
    file = tmp_path / "out" / "page.html"
    assert run(["report", *map(str, runs(tmp_path)), "-o", str(file)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith("and it generalises worse.")
    assert said[1] == f"Report saved as {file}"
    assert said[0] in file.read_text()
    assert [p.name for p in file.parent.iterdir()] == ["page.html"]


def test_an_earlier_page_is_replaced_in_the_run_folder_too(tmp_path):
    folder = run_folder(tmp_path)
    flags = ("-o", "--page", "--out")  # the last one is the earlier name
    assert [run(["report", str(folder), flag, f"{folder}/report.html"]) for flag in flags] == [0, 0, 0]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "give run folders"),
        (["missing"], 1, "cannot read missing"),
        (["."], 1, "is not a run folder"),
        (["RUN", "-o", "RUN/settings.json/page.html"], 1, "cannot write"),
        (["RUN", "-o", "RUN/settings.json"], 2, "settings.json is there already and belongs to"),
        (["RUN", "figure.json", "-o", "./figure.json"], 2, "figure.json is read by this very command"),
    ],
)
def test_what_cannot_be_done(tmp_path, monkeypatch, capsys, arguments, code, says):
    monkeypatch.chdir(tmp_path)
    folder = run_folder(tmp_path / "runs")
    (tmp_path / "figure.json").write_text("{}")
    before = (folder / "settings.json").read_text()
    assert run(["report", *(argument.replace("RUN", str(folder)) for argument in arguments)]) == code
    assert ((folder / "settings.json").read_text(), (tmp_path / "figure.json").read_text()) == (before, "{}")
    said = capsys.readouterr()
    assert says in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_help(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["report", "--help"]) == 0
    assert "--page" in capsys.readouterr().out


def test_what_a_glob_names_beside_the_runs_is_left_out_and_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = run_folder(tmp_path / "runs")
    alone, many = tmp_path / "runs" / "alone", tmp_path / "batch-sizes.json"
    alone.mkdir()
    (alone / "settings.json").write_text('{"network": "F1", "config": {}}')
    many.write_text('{"figure": "4", "provenance": {}, "rows": []}')
    assert run(["report", str(folder), str(alone), str(many), "-o", "with.html"]) == 0
    said = capsys.readouterr().out
    assert f"Left out: {alone} is a single training" in said
    assert f"Left out: {many} is of many trainings" in said
    assert run(["report", str(folder), "-o", "without.html"]) == 0
    assert (tmp_path / "with.html").read_bytes() == (tmp_path / "without.html").read_bytes()
