"""Files: what is written is whole, what is read is what was written, and what fails is a sentence.

A file appears whole or not at all: it is written beside its place, synced, and renamed. Of several processes that
torchrun started all come here, and rank 0 writes: after everybody has seen what was there before, and before anybody
goes on.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safetensors import SafetensorError

from sharpmin.distributed.world import world
from sharpmin.errors import RunError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def write(file: Path, content: bytes) -> None:
    """Write a file so that it appears whole or not at all.

    Raises:
        RunError: no room, no permission; the file that was there before is untouched.

    """
    with written(file) as beside:
        beside.write_bytes(content)


def write_json(file: Path, value: Any) -> None:
    """Write a JSON file, atomically."""
    write(file, (json.dumps(value, indent=1) + "\n").encode())


@contextmanager
def written(file: Path) -> Iterator[Path]:
    """Give a name to write to; what rank 0 wrote is `file` afterwards."""
    with alone() as writes, written_here(file) if writes else nowhere(file) as place:
        yield place


@contextmanager
def nowhere(file: Path) -> Iterator[Path]:
    """Give a name like that of `file`, which is gone afterwards."""
    with TemporaryDirectory() as elsewhere:
        yield Path(elsewhere) / file.name


@contextmanager
def written_here(file: Path) -> Iterator[Path]:
    """Give a name beside `file` to write to; afterwards it is synced and renamed to `file`."""
    beside = file.with_name(f".{os.getpid()}.{file.name}")  # same suffix: matplotlib chooses the format by it
    with explained(file):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            yield beside
            with beside.open("rb+") as handle:
                os.fsync(handle.fileno())
            beside.replace(file)
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def alone() -> Iterator[bool]:
    """Say to rank 0 that it may change the disk, and to the others that they may not, while all of them wait."""
    group = world()
    group.wait()
    yield group.rank == 0
    group.wait()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from what they do `locked` in this folder; a lock ends with its process, however that ends.

    It is on settings.json. Windows and some file systems have no such locks: there nobody waits.
    """
    with ExitStack() as held:
        with suppress(OSError):
            if fcntl is not None and world().rank == 0:
                fcntl.flock(held.enter_context((folder / "settings.json").open("rb+")), fcntl.LOCK_EX)
        yield


def remove(folder: Path) -> None:
    """Remove a folder and what is in it, if it is there."""
    with alone() as writes:
        if writes:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def explained(place: Path) -> Iterator[None]:
    """Turn an OSError into a RunError that says what to do."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"cannot write {place}: {error.strerror or error}; free some room there, or write to another folder; what "
            "was written before is kept"
        ) from error


@contextmanager
def readable(file: Path) -> Iterator[None]:
    """Turn whatever makes a file unreadable, or another file than ours, into a RunError that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise RunError(f"cannot read {file}: there is no such file") from error
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"cannot read {file}: {error}; restore it, or move it away to compute it again") from error


def read_json(file: Path) -> Any:
    """Read a JSON file, or raise a RunError that names it."""
    with readable(file):
        return json.loads(file.read_text(encoding="utf-8"))


def read_object(file: Path, needed: Sequence[str] = ()) -> dict[str, Any]:
    """Read a JSON file that is an object with these keys, or raise a RunError that names it."""
    with readable(file):
        return having(read_json(file), needed, "it")


def read_list(file: Path) -> list[dict[str, Any]]:
    """Read a JSON file that is a list of objects, or raise a RunError that names it."""
    found = read_json(file)
    with readable(file):
        if not isinstance(found, list):
            raise TypeError("it is not a list")
        return [having(one, (), f"entry {number}") for number, one in enumerate(found, 1)]


def having(value: Any, needed: Sequence[str], what: str) -> dict[str, Any]:
    """The value, where it is an object with these keys; else an error for `readable`."""
    if not isinstance(value, dict):
        raise TypeError(f"{what} is not an object")
    if lacking := [key for key in needed if key not in value]:
        raise ValueError(f"{what} has no {', '.join(lacking)}")
    return value


def check_writable(folder: Path) -> None:
    """Raise a RunError for a folder that cannot be written: better before hours of work than after them."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        raise RunError(f"cannot write to {folder}: {there} is a file, not a folder, so nothing was computed")
    if not os.access(there, os.W_OK):
        raise RunError(f"cannot write to {there}: no permission, so nothing was computed")
