"""Slurm where it is, and submitit's processes in its place; with a worker killed in mid-run, the bits are the same."""

import os
import shutil
import signal
import subprocess

import pytest

from sharpmin.errors import UsageError
from sharpmin.sweep.driver import carry_out
from sharpmin.sweep.plan import plan
from sharpmin.sweep.slurm import Slurm
from sharpmin.sweep.work import finish
from sweep.running import begin, children
from sweep.toys import SINGLE, pair, runs, same

pytestmark = [pytest.mark.slurm, pytest.mark.filterwarnings("default")]


def has_slurm():
    return (
        shutil.which("sinfo") is not None
        and subprocess.run(["sinfo"], capture_output=True, check=False).returncode == 0
    )


def check_against_one_left_alone(trials, out, whole):
    planned = plan(trials, runs=out, device="cpu")
    assert {run.state for run in planned} == {"complete"}
    for run in planned:
        finish(run.trial, runs=whole, device="cpu", threads=1)
        assert same(run.folder, whole / run.folder.name)


def test_through_submitit_s_own_processes(tmp_path):
    pytest.importorskip("submitit")
    trials, out = [pair(measures=()), SINGLE], tmp_path / "out"
    engine = Slurm(out / ".slurm", jobs=2, cpus=1, gpus=0, options={}, cluster="local")
    assert carry_out(plan(trials, runs=out, device="cpu"), engine, runs=out) == []
    check_against_one_left_alone(trials, out, tmp_path / "whole")


def test_without_submitit_or_slurm_it_says_so(tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="there is no Slurm here"):
        Slurm(tmp_path, jobs=1, cpus=1, gpus=0, options={})


@pytest.mark.skipif(not has_slurm(), reason="needs a Slurm")
def test_on_slurm_with_a_worker_killed_it_completes_to_the_same_bits(tmp_path):
    pytest.importorskip("submitit")
    out = tmp_path / "killed"
    killed = begin(out, "--engine", "slurm", "--slurm", "time=30")
    os.kill(submitted_python(), signal.SIGKILL)
    said = killed.communicate()[1]
    assert (killed.returncode, "1 workers lost" in said) == (0, True), said
    check_against_one_left_alone(runs(), out / "runs", tmp_path / "whole")


def submitted_python():
    """A process that works on a job: a child of Slurm's step daemon."""
    steps = subprocess.run(["pgrep", "slurmstepd"], capture_output=True, text=True, check=True).stdout.split()
    return children(set(map(int, steps)), "submitit.core._submit")[0]
