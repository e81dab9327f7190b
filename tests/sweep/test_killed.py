"""A sweep interrupted, then a worker killed in mid-run, for real: it completes with the bits of one left alone."""

import os
import signal
from pathlib import Path

import pytest

from sharpmin.sweep.plan import plan
from sharpmin.sweep.work import finish
from sweep.running import begin, children
from sweep.toys import runs, same

LOCALLY = ("--workers", "2", "--threads", "1")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the workers in Linux's /proc")
def test_interrupted_and_with_a_worker_killed_it_completes_to_the_same_bits(tmp_path):
    out, whole = tmp_path / "killed", tmp_path / "whole"
    interrupted = begin(out, *LOCALLY)
    left_behind = children({interrupted.pid}, "spawn_main")
    os.killpg(interrupted.pid, signal.SIGINT)
    said = interrupted.communicate()[1]
    assert interrupted.returncode == 130
    assert said.splitlines()[-1].startswith("sharpmin: interrupted")
    assert "Traceback" not in said
    assert left_behind
    assert not any(Path(f"/proc/{process}").exists() for process in left_behind)

    killed = begin(out, *LOCALLY)
    os.kill(children({killed.pid}, "spawn_main")[0], signal.SIGKILL)
    said = killed.communicate()[1]
    assert (killed.returncode, "1 workers lost" in said) == (0, True)

    planned = plan(runs(), runs=out / "runs", device="cpu")
    assert [run.state for run in planned] == ["complete", "complete"]
    for run in planned:
        finish(run.trial, runs=whole, device="cpu", threads=1)
        assert same(run.folder, whole / run.folder.name)
