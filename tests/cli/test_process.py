"""The command as a process: exit code, one line, nothing else."""

import os
import subprocess
import sys

import pytest


def sharpmin(*arguments, **environment):
    command = [sys.executable, "-m", "sharpmin", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)


def test_a_mistake_is_one_line_and_exit_code_2():
    done = sharpmin("plot", "-n", "C9")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "sharpmin: unknown network 'C9': choose one of F1, F2, C1, C2, C3, C4\n"


def test_the_traceback_when_asked_for():
    done = sharpmin("plot", "-n", "C9", SHARPMIN_TRACEBACK="1")
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["plot", "--help"], ["data", "list"]])
def test_what_only_asks_succeeds(arguments, tmp_path):
    done = sharpmin(*arguments, SHARPMIN_DATA=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
