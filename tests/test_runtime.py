"""The process is tuned when asked, and only then."""

import json
import subprocess
import sys

import pytest
import torch

from sharpmin import runtime
from sharpmin.errors import UsageError

IMPORT = """
import ctypes, json, os, warnings
import torch, numpy

def state():
    return [
        torch.get_num_threads(), torch.get_num_interop_threads(), torch.initial_seed(), str(torch.get_default_dtype()),
        hash(torch.get_rng_state().numpy().tobytes()), hash(str(numpy.random.get_state())), torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision(), dict(os.environ),
        warnings.filters, warnings.showwarning is warnings._showwarning_orig,
    ]

loaded = []
ctypes.CDLL.__init__ = lambda self, name, *rest, **more: loaded.append(name)
before = json.dumps(state(), default=str)
import sharpmin, sharpmin.cli, sharpmin.plots, sharpmin.runtime, sharpmin.paper.parametric
[getattr(sharpmin, name) for name in sharpmin.__all__]
print(json.dumps([before == json.dumps(state(), default=str), loaded]))
"""


def test_importing_changes_nothing_in_the_process():
    unchanged, libraries = json.loads(subprocess.check_output([sys.executable, "-c", IMPORT], text=True))
    assert unchanged
    assert None not in libraries  # how mallopt is reached


def test_tune_sets_threads_and_allocator(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr(runtime, "keep_freed_memory", lambda: "kept")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert runtime.tune(threads=3) == runtime.Tuned(3, "kept")
    runtime.tune()
    assert asked == [3, runtime.available_processors()]


@pytest.mark.parametrize(("said", "threads"), [("1", 1), ("3,2", 3), ("", None), ("0", None), ("many", None)])
def test_omp_num_threads_is_honoured(monkeypatch, said, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    assert runtime.tune().threads == (threads or runtime.available_processors())
    assert runtime.tune(threads=2).threads == 2


@pytest.mark.parametrize("threads", [-1, 0, 20_000])
def test_no_threads_and_thousands_are_refused(threads, monkeypatch):
    monkeypatch.setattr(runtime, "available_processors", lambda: 2)
    with pytest.raises(UsageError, match=f"{threads} threads: give at least 1 and at most 128 here, 64 for each"):
        runtime.tune(threads=threads)


def test_the_allocator_is_left_alone_without_glibc(monkeypatch):
    monkeypatch.setattr("platform.libc_ver", lambda: ("", ""))
    assert runtime.keep_freed_memory() == "left alone: not glibc"


@pytest.mark.parametrize("name", ["cpu", "auto"])
def test_devices_that_are_here(name):
    expected = "cuda" if name == "auto" and torch.cuda.is_available() else "cpu"
    assert runtime.resolve_device(name).type == expected


@pytest.mark.parametrize("name", ["tpu", "cuda:99", "meta:x", ""])
def test_a_device_that_is_not_here_is_named_in_one_line(name):
    with pytest.raises(UsageError, match=f"device '{name}' cannot be used here") as caught:
        runtime.resolve_device(name)
    assert "\n" not in str(caught.value)


def without_float64(empty):
    """`torch.empty` on a device that has no float64: Apple's says so by a TypeError."""

    def allocate(*size, dtype=None, device=None):
        if dtype is torch.float64:
            raise TypeError(
                "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64."
            )
        return empty(*size, dtype=dtype, device=device)

    return allocate


def test_a_device_without_float64_is_refused(monkeypatch):
    monkeypatch.setattr("torch.empty", without_float64(torch.empty))
    with pytest.raises(UsageError, match="device 'cpu' has no float64, in which losses are summed: choose cpu or cuda"):
        runtime.resolve_device("cpu")


def test_available_memory_is_within_the_machines():
    with open("/proc/meminfo") as lines:
        total = int(next(lines).split()[1]) * 1024
    assert 0 < runtime.available_memory() <= total


def test_processes_that_torchrun_started_here_share_the_memory(monkeypatch):
    alone = runtime.available_memory()
    names = {"RANK": 0, "WORLD_SIZE": 8, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 4, "TORCHELASTIC_RUN_ID": "test"}
    for name, value in names.items():
        monkeypatch.setenv(name, str(value))
    assert runtime.available_memory() == pytest.approx(alone / 4, rel=0.3)


def test_the_environment_names_what_numbers_depend_on():
    found = runtime.tuned_environment(runtime.Tuned(2, "kept"), device=torch.device("cpu"))
    assert found["torch"] == torch.__version__
    assert (found["device"], found["threads"], found["allocator"]) == ("cpu", 2, "kept")
    json.dumps(found)


FREED = """
import json, torch
from sharpmin import runtime
runtime.tune(threads=1)
big = torch.ones(2**26)
before, held = runtime.freed_memory(), runtime.resident_memory()
del big
print(json.dumps([before, runtime.freed_memory(), held, runtime.peak_memory()]))
"""


@pytest.mark.skipif(not runtime.has_glibc(), reason="asks glibc")
def test_memory_that_the_allocator_kept_is_known_to_be_free():
    before, after, held, peak = json.loads(subprocess.check_output([sys.executable, "-c", FREED], text=True))
    assert after - before > 0.99 * 2**28
    assert peak >= held > 2**28
