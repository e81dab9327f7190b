"""A process for each call; lost ones are told, and none outlives its driver."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor

import pytest

from sharpmin.sweep.local import Local

OUTLIVED = """
import os, sys, time
from sharpmin.sweep.local import Local

def sleep(file):
    with open(file, "w") as opened:
        opened.write(str(os.getpid()))
    time.sleep(60)

if __name__ == "__main__":
    Local(1).submit(sleep, sys.argv[1]).result()
"""


def own_id():
    return os.getpid()


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def sleep_long():
    time.sleep(60)


def hears_ctrl_c():
    return signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def gone(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def until(condition, *, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def engine():
    with Local(2) as engine:
        yield engine


def test_every_call_has_a_process_of_its_own(engine):
    ids = {engine.submit(own_id).result() for _ in range(2)}
    assert len(ids) == 2
    assert os.getpid() not in ids


def test_a_lost_process_takes_no_other_with_it(engine):
    lost, kept = engine.submit(die), engine.submit(own_id)
    assert isinstance(lost.exception(), BrokenExecutor)
    assert "exit code -9" in str(lost.exception())
    assert kept.result() != os.getpid()


def test_ctrl_c_is_the_driver_s(engine):
    assert engine.submit(hears_ctrl_c).result() is False


def test_shut_down_it_ends_what_runs():
    engine = Local(1)
    running, waiting = engine.submit(sleep_long), engine.submit(sleep_long)
    until(lambda: engine.processes)
    engine.shutdown(cancel_futures=True)
    assert isinstance(running.exception(timeout=30), BrokenExecutor)
    assert waiting.cancelled()
    assert not engine.processes


def test_a_process_ends_with_its_driver_even_a_killed_one(tmp_path):
    (tmp_path / "driver.py").write_text(OUTLIVED)
    file = tmp_path / "id"
    driver = subprocess.Popen([sys.executable, str(tmp_path / "driver.py"), str(file)])
    until(lambda: file.exists() and file.read_text())
    driver.kill()
    driver.wait()
    until(lambda: gone(int(file.read_text())))
