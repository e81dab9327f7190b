"""The command as a process: exit code, one line, nothing else."""

import os
import subprocess
import sys

import pytest

from report.made import run_folder


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


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}


def test_a_locale_without_utf_8(tmp_path):
    folders = [str(run_folder(tmp_path / "runs", seed)) for seed in range(2)]
    page, expected = tmp_path / "page.html", tmp_path / "expected.html"
    assert sharpmin("report", *folders, "-o", str(page), **ASCII).returncode == 0
    assert sharpmin("report", *folders, "-o", str(expected), PYTHONUTF8="1").returncode == 0
    assert page.read_bytes() == expected.read_bytes()
    done = sharpmin("tables", *folders, **ASCII)
    assert (done.returncode, done.stderr) == (0, "")
    assert " ? " in done.stdout  # for ±


@pytest.mark.parametrize("arguments", [["--help"], ["plot", "--help"], ["data", "list"]])
def test_what_only_asks_succeeds(arguments, tmp_path):
    done = sharpmin(*arguments, SHARPMIN_DATA=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
@pytest.mark.parametrize("arguments", ["--help", "paper", "data list"])
@pytest.mark.parametrize(("stream", "why"), [(">/dev/full", "No space left on device"), (">&-", "it is closed")])
def test_an_output_that_cannot_be_written_is_one_line(arguments, stream, why):
    done = shell(f"{arguments} {stream}")
    assert (done.returncode, done.stderr) == (1, f"sharpmin: the output could not be written: {why}\n")


@pytest.mark.parametrize("arguments", ["--help", "paper", "data list"])
def test_a_reader_that_has_read_enough_is_no_error(arguments):
    done = shell(f"{arguments} | true; test ${{PIPESTATUS[0]}} = 0")
    assert (done.returncode, done.stderr) == (0, "")


def test_without_a_place_for_errors_the_results_are_there():
    done = shell("plan F1 --batch-size 100 --seconds 0.1 2>&-")
    assert done.returncode == 0
    assert "F1 at batch 100" in done.stdout
    assert shell("plan F1 --train-size 1 --batch-size 100 2>&-").returncode == 2


def test_an_interrupt_while_importing_is_one_line():
    """Python raises KeyboardInterrupt wherever it is; here in the first import."""
    script = """
import sys

class Interrupted:
    def __getattr__(self, name):
        raise KeyboardInterrupt

sys.modules["cyclopts"] = Interrupted()
from sharpmin.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "sharpmin: interrupted before it began\n")


def shell(line):
    command = f"{sys.executable} -m sharpmin {line}"
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
