"""In which arithmetic a network is computed: float32, TF32 on a GPU, or bfloat16 under autocast.

A GPU's matrix unit can take float32 operands with 10 of their 23 mantissa bits (TF32). PyTorch lets cuDNN do so by
default, in convolutions and not in matrix products, and both can be set for the whole process. What that does to a
gradient is no rounding error (docs/precision.md), so here it is a choice: on a GPU "float32" switches TF32 off and
"tf32" on, while f is computed, the backward pass included, and the process's settings come back afterwards.

Weights, sums over examples and what lies between the layers stay in float32.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal, get_args

import torch

from sharpmin.errors import UsageError

Precision = Literal["float32", "tf32", "bfloat16"]
EPS = {"tf32": 2**-10, "bfloat16": 2**-7}  # of what a matrix product takes


def check_precision(precision: str, device: torch.device) -> None:
    """Raise a UsageError for a precision that is unknown or that the device does not have."""
    if precision not in get_args(Precision):
        *others, last = get_args(Precision)
        raise UsageError(f"unknown precision {precision!r}: choose {', '.join(others)} or {last}")
    if precision == "tf32" and device.type != "cuda":
        raise UsageError(f'precision "tf32" is a GPU\'s, and f is computed on {device}: choose "float32"')


def eps(dtype: torch.dtype, precision: Precision) -> float:
    """How far apart numbers next to 1 are where f is computed in `dtype`, or in what the precision makes of it.

    Example:
        >>> eps(torch.float32, "float32") < eps(torch.float32, "tf32") < eps(torch.float32, "bfloat16")
        True

    """
    return max(torch.finfo(dtype).eps, EPS.get(precision, 0.0))


@contextmanager
def matrix_unit(precision: Precision, device: torch.device) -> Iterator[None]:
    """Around forward and backward passes: without the caller's autocast, and TF32 on a GPU where it is asked for.

    Example:
        >>> before = torch.backends.cudnn.conv.fp32_precision
        >>> with matrix_unit("float32", torch.device("cuda")):
        ...     torch.backends.cudnn.conv.fp32_precision
        'ieee'
        >>> torch.backends.cudnn.conv.fp32_precision == before
        True

    """
    with torch.autocast(device.type, enabled=False), tf32(precision) if device.type == "cuda" else nullcontext():
        yield


@contextmanager
def tf32(precision: Precision) -> Iterator[None]:
    """The switches of a GPU's matrix unit, which come back as they were."""
    backends: Any = torch.backends
    switches = backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul
    before = [switch.fp32_precision for switch in switches]
    try:
        for switch in switches:
            switch.fp32_precision = "tf32" if precision == "tf32" else "ieee"
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.fp32_precision = value


@contextmanager
def forward_pass(precision: Precision, device: torch.device) -> Iterator[None]:
    """Around a forward pass: the same, autocast to bfloat16 where that is asked for, and one path for all."""
    to_bfloat16 = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
    with matrix_unit(precision, device), to_bfloat16, one_path():
        yield


@contextmanager
def one_path() -> Iterator[None]:
    """The same numbers without a gradient as with one.

    PyTorch's transformer layers would take a fast path without one, in which the outputs at padded positions are 0.
    """
    mha = torch.backends.mha
    before = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        mha.set_fastpath_enabled(before)
