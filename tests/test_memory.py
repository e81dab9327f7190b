"""The estimate of a training step's memory against a measured peak, and the sentence where it does not fit."""

import subprocess
import sys

import pytest
import torch

from cases import shallow
from sharpmin.errors import SharpminError
from sharpmin.memory import StepMemory, check_fits, estimate
from sharpmin.zoo import build

STEP = """
from pathlib import Path
import torch
from sharpmin.data import synthetic
from sharpmin.training import TrainConfig, train
from sharpmin.zoo import build

torch.set_num_threads(1)
data = synthetic(train=320, test=1).train
for batch in (64, 320):
    train(build("C1", seed=0), data, TrainConfig(batch_size=batch, epochs=1))
    print(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak where Linux keeps it")
def test_bytes_per_example_of_c1_are_those_measured():
    small, large = map(int, subprocess.check_output([sys.executable, "-c", STEP], text=True).split())
    memory = estimate(build("C1", seed=0), torch.rand(3, 32, 32))
    assert 0.5 < memory.per_example / ((large - small) / (320 - 64)) < 2
    assert 0.5 < memory.needed(320) / large < 2


def test_what_fits_is_what_is_needed_turned_round():
    memory = StepMemory(per_example=10, fixed=1000)
    assert memory.fits(memory.needed(77)) == 77
    assert memory.fits(memory.needed(77) - 1) == 76
    assert memory.fits(5) == 0


def test_the_estimate_disturbs_nothing():
    model, before = shallow(), torch.get_rng_state()
    estimate(model, torch.rand(2, 8, 8, dtype=torch.float64, generator=torch.Generator()))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(p.grad is None for p in model.parameters())


def refused(batch_size, available):
    example = torch.rand(3, 32, 32)
    with pytest.raises(SharpminError) as caught:
        check_fits(build("C1", seed=0), example, batch_size, available=available, flag="--large-batch")
    return str(caught.value)


def test_too_large_a_batch_says_what_would_fit_and_that_does():
    said = refused(5000, 2 * 2**30)
    assert "a batch of 5000 needs about" in said
    assert "2.0 GiB are free" in said
    fits = int(said.split("--large-batch ")[1].split()[0])
    assert 0 < fits < 5000
    check_fits(build("C1", seed=0), torch.rand(3, 32, 32), fits, available=2 * 2**30, flag="")


def test_where_nothing_fits_no_batch_is_offered():
    assert refused(1, 2**20).endswith("no batch would fit: free some memory")


def test_an_unknown_limit_stops_nobody():
    check_fits(build("F1", seed=0), torch.rand(1, 28, 28), 10**9, available=None, flag="")
