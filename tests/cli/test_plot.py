"""`sharpmin plot` and `redraw`: one job in small, and every way to get it wrong."""

import errno
import inspect
import math
import os
import re
import shutil
from dataclasses import fields

import pytest

from sharpmin import runtime
from sharpmin.cli import run
from sharpmin.cli.plot import plot, redraw
from sharpmin.cli.remedies import Remedies
from sharpmin.cli.train import train
from sharpmin.cli.training import Options
from sharpmin.paper import minimizers, parametric_plot
from sharpmin.paper.published import figure_3

SETTINGS = "--data synthetic --train-size 60 --epochs 2 --small-batch 4 --points 4"
JOB = ["plot", "-n", "F1", *SETTINGS.split(), "--quiet"]


@pytest.fixture(autouse=True)
def untuned(monkeypatch):
    """Leave this process's threads and allocator alone."""
    monkeypatch.setattr(runtime, "tune", lambda *, threads=None: runtime.Tuned(threads or 1, "left alone: a test"))
    monkeypatch.delenv("SHARPMIN_TRACEBACK", raising=False)


@pytest.fixture(scope="module")
def finished_once(tmp_path_factory):
    out = tmp_path_factory.mktemp("job")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(runtime, "tune", lambda **_: runtime.Tuned(1, "left alone: a test"))
        assert run([*JOB, "--out", str(out)]) == 0
    return out


@pytest.fixture
def finished(finished_once, tmp_path):
    """A finished job of one's own."""
    return shutil.copytree(finished_once, tmp_path / "out")


@pytest.fixture
def fails(capsys, tmp_path):
    """Run a command that must fail with one line on stderr; return the line."""

    def check(arguments, code):
        if arguments[0] == "plot" and "--out" not in arguments:
            arguments = [*arguments, "--out", str(tmp_path)]
        assert run(arguments) == code
        said = capsys.readouterr()
        assert said.err.startswith("sharpmin: ")
        assert said.err.count("\n") == 1
        assert said.out == ""
        return said.err

    return check


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_the_figure_of_another_seed_is_kept(finished, capsys):
    before = (finished / "Figures" / "F1.json").read_bytes()
    assert run([*JOB, "--out", str(finished)]) == 0
    assert [file.name for file in finished.glob("Figures/*.json")] == ["F1.json"]
    assert run([*JOB, "--seed", "1", "--out", str(finished)]) == 0
    assert f"it is kept as {finished}/Figures/F1-1.json" in capsys.readouterr().out
    assert (finished / "Figures" / "F1-1.json").read_bytes() == before
    assert parametric_plot.load(finished / "Figures" / "F1.json").job.seed == 1


def test_it_leaves_a_figure_its_numbers_and_a_run(finished):
    (folder,) = (finished / "runs").iterdir()
    assert sorted(os.listdir(finished / "Figures")) == ["F1.json", "F1.pdf", "F1.png"]
    assert sorted(os.listdir(folder)) == [
        "environment.json",
        "large_batch.history.jsonl",
        "large_batch.safetensors",
        "line-4-5000.jsonl",
        "settings.json",
        "small_batch.history.jsonl",
        "small_batch.safetensors",
        "x0.safetensors",
    ]


def test_the_large_batch_is_a_tenth_unless_given(finished):
    job = parametric_plot.load(finished / "Figures" / "F1.json").job
    assert (job.small_batch.batch_size, job.large_batch.batch_size, job.train_size) == (4, 6, 60)


def test_the_second_time_it_draws_at_once(finished, monkeypatch, capsys):
    before = (finished / "Figures" / "F1.pdf").read_bytes()
    monkeypatch.setattr(minimizers, "train", lambda *_, **__: pytest.fail("trained again"))
    assert run([*JOB, "--out", str(finished)]) == 0
    assert (finished / "Figures" / "F1.pdf").read_bytes() == before
    said = capsys.readouterr()
    assert "alpha = 0  small batch:" in said.out
    assert said.err == ""


def test_the_arc_is_drawn_beside_the_line(finished, monkeypatch):
    monkeypatch.setattr(minimizers, "train", lambda *_, **__: pytest.fail("trained again"))
    assert run([*JOB, "--path", "arc", "--out", str(finished)]) == 0
    assert {"F1.pdf", "F1-arc.pdf"} <= set(os.listdir(finished / "Figures"))


def test_it_says_how_far_the_authors_curve_is(tmp_path, capsys):
    command = "plot -n C1 --data synthetic --train-size 40 --epochs 1 --small-batch 3 --points 4 --published --quiet"
    assert run([*command.split(), "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    curve = parametric_plot.load(tmp_path / "Figures" / "C1.json").curve("train")
    authors = figure_3("C1")
    apart = [100 * curve.accuracies[i] - authors.train_accuracy[j] for i, j in ((1, 8), (2, 16))]
    (told,) = re.findall(r"minimizers: (\S+) points from the authors'", said)
    assert float(told) == pytest.approx(math.hypot(*apart) / math.sqrt(2), abs=0.02)


def test_redraw_needs_nothing_but_the_json(finished):
    shutil.rmtree(finished / "runs")
    folder = finished / "Figures"
    before = {name: (folder / name).read_bytes() for name in ("F1.pdf", "F1.png")}
    for name in before:
        (folder / name).unlink()
    assert run(["redraw", str(folder / "F1.json")]) == 0
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert not (finished / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("plot -n C9", "unknown network 'C9': choose one of F1, F2, C1, C2, C3, C4"),
        ("plot", "--network"),
        ("plot -n F1 --path spiral", "spiral"),
        ("plot -n F1 --learning-speed 3", "--learning-speed"),
        ("plot -n F1 --points 1", "ask for at least 2"),
        ("plot -n F1 --points 9", "9 points from -1 to 2 leave out the minimizers at 0 and 1: choose 7 or 10"),
        ("plot -n F1 --points 2", "choose 4\n"),
        ("plot -n F1 --epochs many", "many"),
        ("plot -n F1 --epochs 0 --data synthetic", "at least 1"),
        ("plot -n F1 --evaluation-batch 0", "at least 1"),
        ("plot -n F1 --seed -1", "--seed: -1 is below 0"),
        ("plot -n F1 --precision float16", "float16"),
        ("plot -n F1 --device tpu", "device 'tpu' cannot be used here"),
        ("plot -n F1 --published", "no published curve of F1"),
        ("plot -n F1 --data synthetic --train-size 0", "choose from 1 to 5000"),
        ("plot -n F1 --data synthetic --train-size 60 --small-batch 61", "batch size 61 does not fit"),
        ("plot -n F1 --data synthetic --train-size 60 --small-batch 16 --large-batch 61", "choose one from 1 to 60"),
        ("plot -n F1 --data synthetic --train-size 60", "batch size 256 does not fit"),
        (
            "plot -n F1 --data synthetic --train-size 2000",
            "the large batch of 200 is not larger than the small batch of 256: give --small-batch and --large-batch",
        ),
        ("plot -n F1 --data synthetic --small-batch 99 --large-batch 99", "large batch of 99 is not larger"),
        ("plot -n F2", "--data"),
        ("plott", "plott"),
    ],
)
def test_a_request_that_cannot_be_understood(fails, arguments, says, tmp_path):
    assert says in fails(arguments.split(), 2)
    assert files(tmp_path) == []


def test_an_out_folder_that_is_a_file(fails, tmp_path):
    (tmp_path / "out").write_text("mine")
    assert f"cannot write {tmp_path}/out" in fails([*JOB, "--out", str(tmp_path / "out")], 1)
    assert (tmp_path / "out").read_text() == "mine"


def test_a_folder_that_is_no_run(fails, finished):
    (folder,) = (finished / "runs").iterdir()
    (folder / "settings.json").unlink()
    assert "so it is not a run" in fails([*JOB, "--out", str(finished)], 1)


@pytest.mark.parametrize("name", ["settings.json", "environment.json", "small_batch.safetensors", "line-4-5000.jsonl"])
def test_an_unreadable_run_names_the_file(fails, finished, name):
    (file,) = finished.glob(f"runs/*/{name}")
    file.write_bytes(file.read_bytes()[:-9])
    assert f"cannot read {file}" in fails([*JOB, "--out", str(finished)], 1)


def test_a_full_disk(fails, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device; free some room" in fails(JOB, 1)
    assert files(tmp_path) == []


def test_too_little_memory(fails, monkeypatch):
    monkeypatch.setattr("sharpmin.memory.available_memory", lambda: 2**20)
    assert "out of memory: a batch of 6 needs about 0.1 GiB and 0.0 GiB are free" in fails(JOB, 1)


def test_an_allocation_that_fails(fails, monkeypatch):
    def refused(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.\nmore")

    monkeypatch.setattr(minimizers, "train", refused)
    assert "9 bytes; try a smaller --large-batch or a smaller --evaluation-batch or" in fails(JOB, 1)


def test_a_loss_that_is_not_finite_names_the_step_and_keeps_what_was_good(fails, tmp_path):
    said = fails([*JOB, "--learning-rate", "1e38"], 1)
    assert "epoch 1, step" in said
    assert "the state after epoch 0 is kept" in said
    assert not [name for name in files(tmp_path) if "small_batch" in name or "Figures" in name]


def test_no_network_and_nothing_in_the_cache(fails, tmp_path, monkeypatch):
    monkeypatch.setenv("SHARPMIN_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("SHARPMIN_OFFLINE", "1")
    assert "offline" in fails(["plot", "-n", "F1", "--quiet"], 1)
    assert "offline" in fails(["data", "fetch", "mnist"], 1)


def test_data_that_are_not_there(fails, tmp_path):
    assert "holds no complete MNIST" in fails(["plot", "-n", "F1", "--data", str(tmp_path)], 1)
    said = fails(["plot", "-n", "F1", "--data", "nosuch"], 2)
    assert "nosuch is no data set (mnist, fashion-mnist, " in said
    assert "--evaluation-batch 0: give at least 1" in fails(["plot", "-n", "F1", "--evaluation-batch", "0"], 2)


@pytest.mark.parametrize("content", [None, "", "{}"])
def test_redraw_of_something_else(fails, tmp_path, content):
    file = tmp_path / "F1.json"
    if content is not None:
        file.write_text(content)
    assert str(file) in fails(["redraw", str(file)], 1)


def test_interrupted(fails, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(minimizers, "train", interrupt)
    assert "the same command goes on from there" in fails(JOB, 130)


def test_the_traceback_is_shown_when_asked_for(monkeypatch):
    monkeypatch.setenv("SHARPMIN_TRACEBACK", "1")
    with pytest.raises(ValueError, match="unknown network"):
        run(["plot", "-n", "C9"])


@pytest.mark.parametrize("verb", [plot, train, redraw])
def test_help_explains_every_option(verb, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert run([verb.__name__, "--help"]) == 0
    said = capsys.readouterr().out
    groups = {"options": Options, "remedies": Remedies}
    shared = inspect.signature(verb).parameters.keys() & groups.keys()
    for name, text in [(name, verb.__doc__) for name in inspect.signature(verb).parameters.keys() - shared] + [
        (field.name, groups[group].__doc__) for group in shared for field in fields(groups[group])
    ]:
        assert f"--{name.replace('_', '-')} " in said
        assert f"\n    {name}\n        " in text
