"""Several processes speak with one voice, and one that dies takes the job with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cases import same_bits
from sharpmin.cli import run
from sharpmin.cli.together import tell
from sharpmin.distributed.launch import Launch, launched
from sharpmin.errors import UsageError
from sharpmin.runs import Run

JOB = "plot -n F1 --data synthetic --train-size 300 --epochs 5 --small-batch 16 --points 4 --quiet --out"


@pytest.fixture
def started(monkeypatch):
    """As the process of a rank that torchrun started, of two."""

    def as_rank(rank):
        names = {
            "RANK": rank,
            "WORLD_SIZE": 2,
            "LOCAL_RANK": rank,
            "LOCAL_WORLD_SIZE": 2,
            "TORCHELASTIC_RUN_ID": "test",
        }
        for name, value in names.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.setattr("sharpmin.cli.together.GRACE", 0.0)

    return as_rank


def test_only_torchrun_makes_several(monkeypatch, started):
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert launched() == Launch()
    started(1)
    assert launched() == Launch(1, 2, 1, 2)


@pytest.mark.parametrize(("rank", "lines"), [(0, 1), (1, 0)])
def test_rank_0_alone_prints(started, capsys, rank, lines):
    started(rank)
    assert run(["--version"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == lines


def test_a_traceback_asked_for_is_no_permission(started, monkeypatch):
    started(0)
    monkeypatch.setenv("SHARPMIN_TRACEBACK", "1")
    with pytest.raises(UsageError, match="report runs in one process"):
        run(["report", "runs"])


def test_who_is_stopped_does_not_wait_to_be_stopped(started, monkeypatch):
    started(1)
    waited = []
    monkeypatch.setattr("time.sleep", waited.append)
    tell("why", stopped=True)
    assert not waited
    tell("why")
    assert len(waited) == 1


@pytest.mark.parametrize(("rank", "lines"), [(0, 1), (1, 0)])
@pytest.mark.parametrize("request_", ["report runs", "plot -n F1 --points 1", "plot --nonsense"])
def test_a_request_that_makes_no_sense_is_refused_once(started, capsys, rank, lines, request_):
    started(rank)
    assert run(request_.split()) == 2
    assert len(capsys.readouterr().err.splitlines()) == lines


def test_a_verb_for_one_process_says_so(started, capsys):
    started(0)
    assert run(["report", "runs"]) == 2
    assert "report runs in one process: start it without torchrun" in capsys.readouterr().err


def torchrun(out):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "sharpmin", *JOB.split()]
    return subprocess.Popen([*command, str(out)], stderr=subprocess.PIPE, text=True)


def process_of(rank, parent):
    """The process of a rank among the children of torchrun."""
    children = subprocess.check_output(["pgrep", "-P", str(parent)], text=True).split()
    return next(int(child) for child in children if f"\0RANK={rank}\0" in Path(f"/proc/{child}/environ").read_text())


def kill(rank, name, out):
    """Start the job, and kill a process of it when that file of the run is there."""
    job = torchrun(out)
    while not list(out.glob(f"runs/*/{name}")):
        assert job.poll() is None
        time.sleep(0.01)
    os.kill(process_of(rank, job.pid), signal.SIGKILL)
    _, said = job.communicate(timeout=60)
    assert job.returncode != 0
    (told,) = [line for line in said.splitlines() if line.startswith("sharpmin: ")]
    assert "another" in told
    assert "the same command goes on from there" in told


def finish(out):
    job = torchrun(out)
    job.communicate()
    assert job.returncode == 0
    return next(out.glob("runs/*"))


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/environ"), reason="needs Linux")
def test_a_process_that_dies_ends_the_job_and_the_same_command_goes_on_to_the_same_bits(tmp_path):
    kill(1, "small_batch.checkpoint.safetensors", tmp_path / "killed")
    kill(0, "large_batch.checkpoint.safetensors", tmp_path / "killed")
    killed = finish(tmp_path / "killed")
    whole = finish(tmp_path / "whole")
    for name in ("small_batch", "large_batch"):
        assert same_bits(Run(killed).load(name)[0], Run(whole).load(name)[0])
    assert {p.name for p in (tmp_path / "killed" / "Figures").iterdir()} == {"F1.json", "F1.pdf", "F1.png"}
