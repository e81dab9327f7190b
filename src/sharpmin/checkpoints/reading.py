"""A checkpoint's tensors: a safetensors file, a `torch.save` file, or a folder from `save_pretrained`.

What a file is, is decided by how it begins and not by its suffix. Nothing in a file is run (`pickles`), and nothing
outside the folder is read.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open
from torch import Tensor

from sharpmin.checkpoints.adapters import ADAPTERS
from sharpmin.checkpoints.names import abbreviated
from sharpmin.checkpoints.nesting import holds_optimizer, nameless, state_dicts
from sharpmin.checkpoints.pickles import DAMAGED, read_legacy, read_zip
from sharpmin.errors import CheckpointError

Format = Literal["safetensors", "torch", "torch legacy"]

INDEX = ".index.json"
INDEXES = re.compile(r"\.index(\.\w+)?\.json$")
WEIGHTS = ("model.safetensors", "pytorch_model.bin", "diffusion_pytorch_model.safetensors")
"""What `save_pretrained` calls its file; in several parts, the same name with `INDEX` lists them."""

VARIANT = re.compile(
    r"(diffusion_pytorch_|pytorch_)?model\.(\w+\.(safetensors|bin)|(safetensors|bin)\.(\w+\.index|index\.\w+)\.json)"
)
"""What it calls a variant (`variant="fp16"`), whole or the list of its parts."""

OTHERS = {
    "*.distcp": "is a sharded torch.distributed.checkpoint: make one file of it with "
    "python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER weights.pt",
    "zero_to_fp32.py": "is a sharded DeepSpeed checkpoint: run the zero_to_fp32.py in it and give what that writes",
    "config.json": f"is a Hugging Face folder without PyTorch weights: one of {', '.join(WEIGHTS)} is needed",
}
SUFFIXES = {".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".tar"}


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file or folder, on the CPU and as they were saved.

    Attributes:
        path: the file or folder.
        format: "safetensors", "torch" (a zip file) or "torch legacy".
        state_dicts: every dict of named tensors that is there, by the dotted key it was found under: "" for the
            top, else "model", "state_dict", "ema", ...; the most usual first.
        nameless: the dotted keys of what holds tensors without names.

    """

    path: Path
    format: Format
    state_dicts: dict[str, dict[str, Tensor]]
    nameless: tuple[str, ...] = ()


NAMELESS = (
    "holds tensors in a list, without names, and whose they are is known only where they were made: with torch-ema, "
    "ema.copy_to(model.parameters()) there, then torch.save(model.state_dict(), 'weights.pt')"
)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the tensors of a checkpoint without running anything in it.

    Args:
        path: a safetensors file; a file by `torch.save`, of a state dict or of a dict with state dicts in it; a
            `save_pretrained` folder, or the `.index.json` of one in parts.

    Returns:
        All its state dicts. Epochs, settings and the states of optimizers are left out. Tensors of safetensors and
        zip files are mapped from disk, not read, until they are used.

    Raises:
        CheckpointError: there is nothing there, or something else; it is damaged; it is a pickle of more than
            tensors, which is refused; it holds no weights.

    Example:
        >>> import tempfile
        >>> import torch
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.save({"epoch": 3, "model": torch.nn.Linear(3, 2).state_dict()}, Path(folder) / "last.pt")
        ...     {key: list(tensors) for key, tensors in read_checkpoint(Path(folder) / "last.pt").state_dicts.items()}
        {'model': ['weight', 'bias']}

    """
    path = Path(path).expanduser()
    try:
        content, kind = _read_folder(path) if path.is_dir() else _read_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist: give a checkpoint file or a save_pretrained folder") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    found, lists = state_dicts(content), tuple(nameless(content))
    if not found and any(lists):
        raise CheckpointError(f"{path}:{lists[0]} {NAMELESS}")
    if not found:
        raise CheckpointError(f"{path} {_without_weights(content)}: give the file that model.state_dict() went into")
    return Checkpoint(path, kind, found, lists)


def _read_file(file: Path) -> tuple[Any, Format]:
    if INDEXES.search(file.name):
        return _read_parts(file)
    with file.open("rb") as opened:
        head = opened.read(64)
    if head[:4] == b"PK\x03\x04":
        return read_zip(file), "torch"
    if head[:1] == b"\x80" and head[8:9] != b"{":
        return read_legacy(file, head), "torch legacy"
    if head[8:9] == b"{" or file.suffix == ".safetensors":
        return _read_safetensors(file, head), "safetensors"
    raise CheckpointError(f"{file} {_stranger(head)}")


def _read_safetensors(file: Path, head: bytes) -> dict[str, Tensor]:
    try:
        with safe_open(file, framework="pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except SafetensorError as error:
        reason = _stranger(head) if head[8:9] != b"{" else f"is no sound safetensors file ({error}): {DAMAGED}"
        raise CheckpointError(f"{file} {reason}") from error


def _stranger(head: bytes) -> str:
    """What a file is that begins like no checkpoint."""
    if not head:
        return "is empty: copy or download it again"
    if head.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the file itself: fetch it with git lfs pull"
    return f"is neither a safetensors nor a torch.save file (it begins with {head[:8]!r}): give one, or fetch it again"


def _read_folder(folder: Path) -> tuple[Any, Format]:
    candidates = [folder / name for file in WEIGHTS for name in (file, file + INDEX)]
    candidates += [folder / name for name in ADAPTERS]
    file = next((file for file in candidates if file.is_file()), None)
    if file is None:
        raise CheckpointError(f"{folder} {_without_files(folder)}")
    return _read_file(file)


def _without_files(folder: Path) -> str:
    if variants := sorted(file.name for file in folder.iterdir() if VARIANT.fullmatch(file.name)):
        return f"has its weights under another name than {WEIGHTS[0]}: give the file, {folder / variants[0]}"
    for pattern, explanation in OTHERS.items():
        if any(folder.glob(pattern)):
            return explanation
    if files := sorted(file.name for file in folder.iterdir() if file.suffix in SUFFIXES):
        return f"is no save_pretrained folder: give one of the files in it, {abbreviated(files)}"
    return "holds no checkpoint: give a checkpoint file or a save_pretrained folder"


def _read_parts(index: Path) -> tuple[dict[str, Any], Format]:
    """Read the files that an index names beside itself, each tensor from the one it is said to be in."""
    try:
        parts = {str(name): str(part) for name, part in json.loads(index.read_bytes())["weight_map"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index} is no index of weights ({error!r}): fetch it again") from error
    if outside := sorted({part for part in parts.values() if Path(part).name != part or INDEXES.search(part)}):
        raise CheckpointError(f"{index} names {abbreviated(outside)}; the parts must be files beside it")
    if missing := sorted({part for part in parts.values() if not (index.parent / part).is_file()}):
        raise CheckpointError(f"{index} names {abbreviated(missing)}, which is not there: fetch all the parts")
    read = {part: _read_file(index.parent / part) for part in sorted(set(parts.values()))}
    tensors = {part: state_dicts(content).get("", {}) for part, (content, _) in read.items()}
    if absent := [f"{name} in {part}" for name, part in parts.items() if name not in tensors[part]]:
        raise CheckpointError(f"{index} names {abbreviated(absent)}, which is not there: fetch all the parts again")
    kinds = [kind for _, kind in read.values()]
    return {name: tensors[part][name] for name, part in parts.items()}, kinds[0] if kinds else "safetensors"


def _without_weights(content: Any) -> str:
    if holds_optimizer(content):
        return "holds the state of an optimizer and no weights"
    if isinstance(content, dict):
        return f"holds no named tensors (its keys: {abbreviated([str(key) for key in content]) or 'none'})"
    return f"holds a {type(content).__name__} and not a dict of named tensors"
