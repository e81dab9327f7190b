"""What this machine has: processors and their instructions, PyTorch's build, memory, data sets, GPUs."""

import platform

import torch

from sharpmin import data, runtime, zoo
from sharpmin.data.cache import data_folder
from sharpmin.memory import estimate

NARROW = ("amx_bf16", "avx512_bf16")  # of x86; the first is the faster


def instructions() -> str:
    """What the processor has for bfloat16: "" where there is nothing, or where the system does not say."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            flags = next(
                (line.split(":", 1)[1].split() for line in lines if line.startswith(("flags", "Features"))), []
            )
    except OSError:
        return ""
    return next((name for name in (*NARROW, "bf16") if name in flags), "")


def build() -> str:
    """PyTorch's version, and the instructions that its operators use here."""
    return f"{torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"


def missing_libraries() -> list[str]:
    """What a fast build has on this kind of processor and this one has not."""
    parts = {"oneDNN": torch.backends.mkldnn.is_available(), "OpenMP": torch.backends.openmp.is_available()}
    if platform.machine() in ("x86_64", "AMD64"):
        parts["MKL"] = torch.backends.mkl.is_available()
    return [name for name, there in parts.items() if not there]


def has_cuda() -> bool:
    """Whether PyTorch was built for CUDA."""
    return torch.backends.cuda.is_built()


def devices() -> list[str]:
    """The GPUs that PyTorch sees."""
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def data_sets() -> tuple[list[str], list[str]]:
    """Names of the data sets that are here and of those that are not."""
    rows = data.status()
    here = [row.name for row in rows if row.state != "missing"]
    return here, [row.name for row in rows if row.name not in here]


def data_place() -> str:
    """The folder of the cache."""
    return str(data_folder(None))


def largest_batches(names: tuple[str, ...] = ("C1", "C2")) -> dict[str, int]:
    """For each network the largest batch that a training step can hold now; empty where nobody knows what is free."""
    free = runtime.available_memory()
    if free is None:
        return {}
    examples = {name: torch.rand(zoo.default_interface(name).shape) for name in names}
    return {name: estimate(zoo.build(name, seed=0), example).fits(free) for name, example in examples.items()}
