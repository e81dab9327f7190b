"""What several test modules measure: a finished run folder, and a task with two checkpoints; and sweeps in small."""

from concurrent.futures import Executor, Future
from importlib import import_module

import pytest
import torch

from sharpmin import runtime
from sharpmin.cli import run

JOB = "plot -n F1 --data synthetic --train-size 60 --epochs 2 --small-batch 4 --points 4 --threads 1 --quiet"

TASK = """
import torch
from torch import nn
from cases import examples

def make():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))
    model[0].bias.requires_grad_(False)
    return model, examples(20, 4, dtype=torch.float32)
"""


@pytest.fixture(autouse=True)
def threads_as_they_were():
    """The command line sets the number of threads, which would be that of every later test of this process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """A run folder of `JOB`; shared, so add only rows."""
    out = tmp_path_factory.mktemp("job")
    assert run([*JOB.split(), "--out", str(out)]) == 0
    return next(out.glob("runs/*"))


@pytest.fixture
def task(tmp_path, monkeypatch):
    """Two checkpoints that differ in weights, running statistics and what is frozen."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mytask.py").write_text(TASK)
    namespace = {}
    exec(TASK, namespace)
    for seed, name in enumerate(("a", "b")):
        model, _ = namespace["make"]()
        with torch.no_grad():
            for p in (*model.parameters(), model[1].running_mean):
                p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(seed)))
        torch.save(model.state_dict(), f"{name}.pt")
    return "mytask.py:make"


class InProcess(Executor):
    """Runs in this very process."""

    def submit(self, function, /, *args):
        future = Future()
        future.set_result(function(*args))
        return future


@pytest.fixture
def in_process(monkeypatch):
    """Sweeps are carried out in this process, whose threads and allocator are left alone."""
    monkeypatch.setattr(import_module("sharpmin.cli.sweep"), "executor", lambda *_, **__: InProcess())
    monkeypatch.setattr(runtime, "tune", lambda *, threads=None: runtime.Tuned(threads or 1, "left alone: a test"))
