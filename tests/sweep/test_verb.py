"""`sharpmin sweep`: what it lists, how it shares the machine, how it ends, and what it refuses."""

import inspect
from pathlib import Path

import pytest

from sharpmin import runtime
from sharpmin.cli import run
from sharpmin.cli.sweep import conclude, in_short, shares, sweep
from sharpmin.errors import RunError
from sharpmin.remedies import SAM, GhostBatchNorm
from sharpmin.sweep.driver import Failure
from sharpmin.sweep.plan import plan
from sharpmin.train_config import TrainConfig
from sweep.toys import runs

RECIPE = f"{Path(__file__).parent / 'toys.py'}:runs"


@pytest.fixture(autouse=True)
def eight_processors(monkeypatch):
    monkeypatch.setattr(runtime, "available_processors", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("SHARPMIN_TRACEBACK", raising=False)


@pytest.mark.parametrize(
    ("count", "given", "expected"),
    [
        (20, {}, (8, 1)),
        (3, {}, (3, 2)),
        (20, {"workers": 2}, (2, 4)),
        (20, {"threads": 4}, (2, 4)),
        (20, {"threads": 3, "workers": 1}, (1, 3)),
        (20, {"threads": 16}, (1, 16)),
        (20, {"workers": 16}, (16, 1)),
        (20, {"device": "cuda:1"}, (1, 8)),
        (20, {"engine": "ray"}, (20, 1)),
        (20, {"engine": "slurm", "workers": 5, "threads": 4}, (5, 4)),
    ],
)
def test_workers_and_threads_share_the_processors(count, given, expected):
    asked = {"engine": "local", "workers": None, "threads": None, "device": "cpu", **given}
    assert shares(count, **asked) == expected


def test_omp_num_threads_is_the_threads_of_a_local_run(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert shares(20, engine="local", workers=None, threads=None, device="cpu") == (2, 4)
    assert shares(20, engine="slurm", workers=None, threads=None, device="cpu") == (20, 1)


@pytest.mark.parametrize("given", ["--workers 0", "--threads 0", "--threads 10000"])
def test_a_dry_run_refuses_what_the_sweep_would(given, capsys):
    assert run(["sweep", RECIPE, "--dry-run", *given.split()]) == 2
    assert "give at least 1" in capsys.readouterr().err


def test_a_dry_run_lists_the_runs_and_does_nothing(tmp_path, capsys):
    assert run(["sweep", RECIPE, "--dry-run", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    for planned in plan(runs(), runs=tmp_path / "out" / "runs", device="cpu"):
        assert str(planned.folder) in said.out
    assert said.out.count("to do") == 2
    assert "16 x 30, 30 x 30" in said.out
    assert said.out.endswith("0 of 2 runs complete\n")
    assert not (tmp_path / "out").exists()


def test_a_training_in_short_names_its_remedies():
    assert in_short(TrainConfig(batch_size=16, epochs=3)) == "16 x 3"
    made = TrainConfig(batch_size=16, until_converged=True, ghost_batch_norm=GhostBatchNorm(), sam=SAM())
    assert in_short(made) == "16 x until converged + sam + ghost_batch_norm"


def test_failures_are_listed_in_a_line_each_and_the_end_is_an_error(tmp_path, capsys, monkeypatch):
    planned = plan(runs(), runs=tmp_path, device="cpu")
    failed = [Failure(planned[1].folder, "ValueError: no", "Traceback ...")]
    with pytest.raises(RunError, match="1 of 2 runs failed; the same command goes on") as raised:
        conclude(planned, failed, tmp_path)
    assert raised.value.exit_code == 1
    assert capsys.readouterr().err == f"failed: {planned[1].folder.name}: ValueError: no\n"
    monkeypatch.setenv("SHARPMIN_TRACEBACK", "1")
    with pytest.raises(RunError):
        conclude(planned, failed, tmp_path)
    assert "Traceback ..." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("nothing-such", "there is no recipe 'nothing-such'"),
        ("absent.py:runs", "there is no file absent.py"),
        (f"{RECIPE} --engine moon", "moon"),
        (f"{RECIPE} --workers 0", "--workers 0: give at least 1"),
        (f"{RECIPE} --threads -1", "--threads -1: give at least 1"),
        (f"{RECIPE} --gpus 1", "name the one here by --device"),
        (f"{RECIPE} --engine ray --gpus 1 --device cpu", "leave one of them out"),
        (f"{RECIPE} --engine ray --device auto", "name it: cpu or cuda"),
        (f"{RECIPE} --device tpu", "device 'tpu' cannot be used here"),
        (f"{RECIPE} --slurm time=5", "it needs --engine slurm"),
        (f"{RECIPE} --engine slurm --slurm exclusive", "give name=value"),
        (f"{RECIPE} --engine slurm --gpus 0.5", "has whole ones"),
    ],
)
def test_a_request_that_cannot_be_understood(arguments, says, tmp_path, capsys):
    assert run(["sweep", *arguments.split(), "--quiet", "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert says in said.err
    assert not (tmp_path / "out").exists()


def test_help_explains_every_option(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["sweep", "--help"]) == 0
    said = capsys.readouterr().out
    for name in inspect.signature(sweep).parameters:
        assert (name.upper() if name == "recipe" else f"--{name.replace('_', '-')} ") in said
        assert f"\n    {name}\n        " in sweep.__doc__
