"""A sweep as a process, watched from outside."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

RECIPE = f"{Path(__file__).parent / 'toys.py'}:runs"


def hears_interrupts():
    """In the child: a test run started in the background of a shell ignores Ctrl-C, and its children would too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def begin(out, *options, **environment):
    """Start the sweep of `toys.runs` as a process group of its own, and wait until it trains."""
    before = set(checkpoints(out))
    path = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-m", "sharpmin", "sweep", RECIPE, *options, "--out", str(out)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hears_interrupts,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )
    while set(checkpoints(out)) <= before:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.005)
    return process


def checkpoints(out):
    """The checkpoints of trainings that have begun and are not finished, each with its time."""
    for file in out.glob("runs/*/[!.]*.checkpoint.safetensors"):
        with suppress(OSError):  # finished meanwhile
            yield file, file.stat().st_mtime_ns


def children(parents, called):
    """The ids of the processes of these parents whose command line has this in it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone meanwhile
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in parents and called.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found
