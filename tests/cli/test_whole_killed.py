"""`sharpmin paper all` killed half-way, for real, and begun again: everything is there in the end."""

import os
import signal
import subprocess
import sys
import time

import pytest

from cli.test_whole import standings

COMMAND = "paper all -n F1 --data synthetic --budget images=60,epochs=1,trials=1 --threads 1 --quiet"


@pytest.mark.slow
def test_killed_half_way_it_goes_on(tmp_path):
    command = [
        sys.executable,
        "-m",
        "sharpmin",
        *COMMAND.split(),
        "--out",
        str(tmp_path),
        "-o",
        f"{tmp_path}/paper.html",
    ]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    while len(list(tmp_path.glob("runs/*/solution.safetensors"))) < 2:  # in Figure 4
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    found = standings(tmp_path / "paper.html")
    assert (found["Table 3"], found["Figure 4"]) == ("F1", "not made")
    kept = {file: file.stat().st_mtime_ns for file in tmp_path.glob("runs/*/solution.safetensors")}

    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(standings(tmp_path / "paper.html").values()) == {"F1", "made"}
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
