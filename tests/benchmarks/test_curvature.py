"""A side that takes too long is stopped with an answer that says so."""

import json
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PROGRAM = """
import time
from curvature import stopped_after

with stopped_after(60):
    print("in time", flush=True)
with stopped_after(0.1):
    time.sleep(60)
print("never")
"""


def test_it_ends_with_the_time_it_had_and_one_that_is_in_time_goes_on():
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=BENCHMARKS, stdout=subprocess.PIPE, text=True, check=True)
    first, answer = done.stdout.splitlines()
    assert first == "in time"
    row = json.loads(answer)
    assert row["stopped"]
    assert row["seconds"] == {"top5": 0.1}
    assert row["peak_bytes"] > 0
