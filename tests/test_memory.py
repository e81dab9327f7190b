"""The estimate of a training step's memory against a measured peak, and the sentence where it does not fit."""

import json
import subprocess
import sys

import pytest
import torch
from torch import nn

from cases import shallow
from sharpmin.checkpointing import KEEPS, StageMemory
from sharpmin.errors import SharpminError
from sharpmin.memory import StepMemory, check_fits, estimate, saved_per_example
from sharpmin.zoo import build

BATCH = 1024  # so that what is kept stands out from the pages that come and go
STEP = f"""
import json, sys, torch
from sharpmin import runtime
from sharpmin.blocked import Blocked, alike
from sharpmin.timing import TrainingStep
from sharpmin.zoo import build

runtime.tune(threads=1)
model = build("C1", seed=0)
step = TrainingStep(Blocked(model, keep=alike(model, sys.argv[1])), (3, 32, 32), 10)
before = runtime.resident_memory()
step.seconds({BATCH})
print(json.dumps([before, runtime.peak_memory()]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak where Linux keeps it")
def test_the_peak_is_that_of_a_step_in_a_process_of_its_own():
    memory = estimate(build("C1", seed=0), torch.rand(3, 32, 32))
    measured, foretold = {}, {}
    for keep in ("all", "inputs"):
        output = subprocess.check_output([sys.executable, "-c", STEP, keep], text=True)
        before, measured[keep] = json.loads(output)
        foretold[keep] = before + memory.needed(BATCH, (keep,) * len(memory.stages))
        assert 1 / 1.5 < foretold[keep] / measured[keep] < 1.5
    saved = measured["all"] - measured["inputs"]
    assert saved > 0
    assert 1 / 2 < (foretold["all"] - foretold["inputs"]) / saved < 2


def test_what_fits_is_what_is_needed_turned_round():
    memory = StepMemory(fixed=1000, inputs=1, stages=(StageMemory(dict.fromkeys(KEEPS, 10), joined=False),), block=4)
    least = ("inputs",)
    assert memory.needed(77, least) == 1000 + 2 * 77 + 77 * 10 + 2 * 4 * 10
    assert memory.fits(memory.needed(77, least)) == 77
    assert memory.fits(memory.needed(77, least) - 1) == 76
    assert memory.fits(5) == 0


@pytest.mark.parametrize(
    "model", [shallow(), nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten()).double()]
)
def test_the_estimate_disturbs_nothing(model):
    before, state = torch.get_rng_state(), {name: tensor.clone() for name, tensor in model.state_dict().items()}
    estimate(model, torch.rand(2, 8, 8, dtype=torch.float64, generator=torch.Generator()))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_a_network_that_does_not_go_in_blocks_keeps_everything():
    """Two linear layers and a square keep their inputs: 4, 3 and 3 numbers an example."""

    class Square(nn.Module):
        def forward(self, x):
            return x**2

    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3), Square())
    assert saved_per_example(model, torch.rand(4)) == 4 * (4 + 3 + 3)
    memory = estimate(model, torch.rand(4))
    assert memory.needed(10**6, memory.chosen(10**6, available=0)) == memory.needed(10**6, ("all",))


def test_bfloat16_takes_less():
    model, example = build("C1", seed=0), torch.rand(3, 32, 32)
    wide, narrow = (
        sum(stage.kept["all"] for stage in estimate(model, example, precision=precision).stages)
        for precision in ("float32", "bfloat16")
    )
    assert 0.4 < narrow / wide < 0.8


def refused(batch_size, available, device="cpu"):
    example = torch.rand(3, 32, 32)
    with pytest.raises(SharpminError) as caught:
        check_fits(build("C1", seed=0), example, batch_size, device=device, available=available, flag="--large-batch")
    return str(caught.value)


def test_too_large_a_batch_says_what_would_fit_and_that_does():
    said = refused(20_000, 2 * 2**30)
    assert "a batch of 20000 needs about" in said
    assert "2.0 GiB are free" in said
    fits = int(said.split("--large-batch ")[1].split()[0])
    assert 5000 < fits < 20_000
    check_fits(build("C1", seed=0), torch.rand(3, 32, 32), fits, device="cpu", available=2 * 2**30, flag="")


def test_what_fits_only_if_computed_again_is_not_refused():
    model, example = build("C1", seed=0), torch.rand(3, 32, 32)
    memory = estimate(model, example)
    assert memory.needed(5000, ("all",) * len(memory.stages)) > 2 * 2**30
    check_fits(model, example, 5000, device="cpu", available=2 * 2**30, flag="")


def test_on_a_gpu_nothing_is_computed_again():
    said = refused(5000, 2 * 2**30, device="cuda")
    fits = int(said.split("--large-batch ")[1].split()[0])
    assert fits < 5000 / 2
    check_fits(build("C1", seed=0), torch.rand(3, 32, 32), fits, device="cuda", available=2 * 2**30, flag="")


def test_where_nothing_fits_no_batch_is_offered():
    assert refused(1, 2**20).endswith("no batch would fit: free some memory")


def test_processes_share_a_batch_and_what_fits():
    model, example, free = build("C1", seed=0), torch.rand(3, 32, 32), 2 * 2**30
    fits = estimate(model, example).fits(free)
    check_fits(model, example, 2 * fits, device="cpu", available=free, flag="", processes=2)
    with pytest.raises(SharpminError, match=f"free for each process; --large-batch {2 * fits} would fit"):
        check_fits(model, example, 3 * fits, device="cpu", available=free, flag="--large-batch", processes=2)


def test_an_unknown_limit_stops_nobody():
    check_fits(build("F1", seed=0), torch.rand(1, 28, 28), 10**9, device="cpu", available=None, flag="")
