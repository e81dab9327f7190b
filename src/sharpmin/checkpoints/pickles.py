"""What `torch.save` wrote, read without running any of it.

Such a file is a pickle, and unpickling a class runs code that the file chooses. PyTorch's restricted unpickler
(`weights_only=True`) builds tensors, numbers, strings and containers and nothing else; whatever needs more is
refused here with its name and the way out. Nothing is ever added to what PyTorch allows by default.

A zip file carries a checksum of each of its members, which PyTorch itself does not look at. Here it is compared, so
that a damaged file is an error and not other weights.
"""

import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from sharpmin.errors import CheckpointError, is_out_of_memory

LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How a file begins that `torch.save` wrote before version 1.6, or without its zip format."""

TRUSTING = "torch.load({}, map_location='cpu', weights_only=False)"

KEEPING = (
    "import torch; a = lambda v: hasattr(v, 'shape') and getattr(getattr(v, 'dtype', 0), 'kind', 'f') in 'biufc'; "
    "d = lambda v: isinstance(v, torch.nn.Module) or isinstance(v, dict) and 'param_groups' not in v; "
    "f = lambda v: torch.as_tensor(v) if a(v) else "
    "{k: f(w) for k, w in (v if isinstance(v, dict) else v.state_dict()).items() if a(w) or d(w)}"
)
"""A function f that keeps the tensors, arrays and modules of a dict, also within; not the states of optimizers."""

SHARDED = (
    "holds the shards that one process had of a model: gather them before saving, with "
    "torch.distributed.checkpoint.state_dict.get_model_state_dict and StateDictOptions(full_state_dict=True)"
)

DAMAGED = "it is truncated or damaged: copy or download it again"


def read_zip(file: Path) -> Any:
    """Read a file in `torch.save`'s zip format; the tensors stay on disk until they are used."""
    with _sound(file):
        _check_archive(file)
    return _load(file, mmap=file.suffix != ".safetensors")  # by that suffix torch.load would choose another reader


def read_legacy(file: Path, head: bytes) -> Any:
    """Read a file in `torch.save`'s older format, given how the file begins."""
    if not head.startswith(LEGACY):
        raise _refused(file, "it is a plain pickle", load="__import__('pickle').load(open({}, 'rb'))")
    return _load(file, mmap=False)


def _load(file: Path, *, mmap: bool) -> Any:
    with _sound(file), warnings.catch_warnings(), file.open("rb") as opened:
        warnings.simplefilter("ignore")  # of formats and protocols: what matters is an error
        try:
            return torch.load(file if mmap else opened, map_location="cpu", weights_only=True, mmap=mmap)
        except UnpicklingError as error:
            if "DTensor" in str(error):
                raise CheckpointError(f"{file} {SHARDED}") from error
            raise _refused(file, _reason(str(error))) from error


def _check_archive(file: Path) -> None:
    """Raise a CheckpointError unless the zip file is `torch.save`'s and as it was written."""
    with zipfile.ZipFile(file) as archive:
        members = {Path(info.filename).name for info in archive.infolist()}
        summed = any(info.CRC for info in archive.infolist())  # PyTorch can be told not to compute them
        damaged = archive.testzip() if summed else None
    if damaged:
        raise CheckpointError(f"{file} fails its checksum at {damaged}: {DAMAGED}")
    if "constants.pkl" in members:
        raise _refused(file, "it is a TorchScript archive, which holds a program")
    if "data.pkl" not in members:
        raise CheckpointError(f"{file} is a zip file, but not torch.save's: give the file with model.state_dict()")


@contextmanager
def _sound(file: Path) -> Iterator[None]:
    """Turn whatever a damaged file makes its reader stumble over into a CheckpointError."""
    try:
        yield
    except (CheckpointError, OSError):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise CheckpointError(f"{file} cannot be read ({_first_line(error)}): {DAMAGED}") from error


def _reason(message: str) -> str:
    """Why PyTorch's restricted unpickler stopped."""
    if named := re.search(r"GLOBAL (\S+)", message):
        return f"it pickles {named[1]}, and unpickling a class or function can run any code"
    core = message.partition("WeightsUnpickler error:")[2] or message
    return f"it is damaged, or pickles more than tensors and plain values ({_first_line(core)})"


def _refused(file: Path, reason: str, *, load: str = TRUSTING) -> CheckpointError:
    there, beside = repr(str(file)), repr(str(file.with_name(f"{file.stem}.weights.pt")))
    return CheckpointError(
        f"{file} is refused: {reason}. Save the tensors alone instead, torch.save(model.state_dict(), 'weights.pt'); "
        "or, if you trust this file, run this where its classes can be imported (it keeps every dict of tensors under "
        f'its key): python -c "{KEEPING}; torch.save(f({load.format(there)}), {beside})"'
    )


def _first_line(error: object) -> str:
    return next((line.strip(" .") for line in str(error).splitlines() if line.strip()), type(error).__name__)
