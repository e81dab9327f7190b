"""A job killed at awkward moments, for real, and started again gives the bits of one that was left alone."""

import json
import signal
import time

import pytest

from cases import same_bits
from forked import SHARPMIN, exit_code, start
from sharpmin.runs import Run

JOB = "plot -n F1 --data synthetic --train-size 200 --epochs 4 --small-batch 16 --points 13 --threads 1 --quiet --out"

KILLS_ITSELF = """
import os, signal, sys
from pathlib import Path
from sharpmin.cli import main

prefix, countdown = sys.argv.pop(1), int(sys.argv.pop(1))
replace = Path.replace

def killed_before(self, target):
    global countdown
    countdown -= Path(target).name.startswith(prefix)
    if not countdown:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)

Path.replace = killed_before
main()
"""


def finish(out):
    assert exit_code(start(SHARPMIN, *JOB.split(), out)) == 0


def kill_before_writing(name, out, *, nth):
    """Run until a file of that name is about to appear for the nth time, fully written beside its place."""
    assert exit_code(start(KILLS_ITSELF, name, nth, *JOB.split(), out)) == -signal.SIGKILL


def kill_soon_after(file, out):
    """Run until that file is seen; whatever the process does then, it is stopped in the middle of it."""
    process = start(SHARPMIN, *JOB.split(), out)
    while process.is_alive() and not (out / file).exists():
        time.sleep(0.001)
    process.kill()
    assert exit_code(process) == -signal.SIGKILL


def results(out):
    """Every tensor and every number of a finished job, but for times and places."""
    (folder,) = out.glob("runs/*")
    tensors = {name: Run(folder).load(name)[0] for name in ("x0", "small_batch", "large_batch")}
    figure = json.loads((out / "Figures" / "F1.json").read_text())
    lines = [Run(folder).read_lines(f"{name}.history.jsonl") for name in ("small_batch", "large_batch")]
    history = [{**line, "seconds": None} for part in lines for line in part]
    return tensors, (figure["points"], figure["job"], history)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a system with SIGKILL")
def test_killed_and_started_again_the_final_bits_are_those_of_an_uninterrupted_run(tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    kill_before_writing("small_batch.checkpoint", killed, nth=2)
    kill_before_writing("large_batch.history", killed, nth=5)  # the solution is there, its history is not
    kill_before_writing("line-13", killed, nth=2)  # five points are kept at a time
    kill_soon_after("Figures/F1.json", killed)
    finish(killed)
    finish(whole)
    (tensors, numbers), (expected_tensors, expected_numbers) = results(killed), results(whole)
    assert numbers == expected_numbers
    assert len(numbers[0]) == 13
    assert len(numbers[2]) == 8
    for name, expected in expected_tensors.items():
        assert same_bits(tensors[name], expected)
    assert {p.name for p in (killed / "Figures").glob("[!.]*")} == {"F1.json", "F1.pdf", "F1.png"}
