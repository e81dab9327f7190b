"""Run folders: the only code that writes results to disk.

    C1-1f2e3d4c5b/
      settings.json                     everything that determines the bits; its hash names the folder; never replaced,
                                        so it is what a process locks that adds a row to another file
      environment.json                  on what it was computed, one entry per distinct machine or version
      x0.safetensors                    the starting point both trainings share
      small_batch.safetensors           a solution, its history in the metadata
      small_batch.checkpoint.safetensors  weights and Adam's moments after the last epoch, while in training
      small_batch.history.jsonl         one line an epoch
      line-25-5000.jsonl                one line a point: path, points, evaluation batch; appended as computed

NaN and infinity stand in JSON as Python spells them (NaN, Infinity): a loss that is one is a result, not a lack of one.

Every file appears whole or not at all: it is written beside its place, synced, and renamed. Of several processes that
torchrun started all come here, and rank 0 writes: after everybody has seen what was there before, and before anybody
goes on.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sharpmin.distributed.world import world
from sharpmin.errors import RunError, UsageError
from sharpmin.history import Epoch, State

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

CHECKPOINT = ".checkpoint"
MOMENTS = "adam:"
KEPT = ("*.safetensors", "*.jsonl", "settings.json", "environment.json", "compare.json")
STALE = 3600.0  # seconds after which a half-written file cannot be a living process's


@dataclass(frozen=True)
class Run:
    """A folder that holds one training job and what was measured on it."""

    folder: Path

    def save(self, name: str, weights: Mapping[str, Tensor], *, metadata: dict[str, str] | None = None) -> None:
        """Write named tensors to `name`.safetensors."""
        write(self.folder / f"{name}.safetensors", save(dict(weights), metadata=metadata))

    def load(self, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Read the tensors and the metadata of `name`.safetensors.

        Raises:
            RunError: the file is missing or is not a sound safetensors file.

        """
        file = self.folder / f"{name}.safetensors"
        with readable(file), safe_open(file, framework="pt") as opened:
            return {key: opened.get_tensor(key) for key in opened.keys()}, opened.metadata() or {}  # noqa: SIM118

    def save_state(self, name: str, state: State, *, finished: bool) -> None:
        """Keep a training state: after each epoch as a checkpoint, at the end as the solution."""
        history = [asdict(epoch) for epoch in state.history]
        metadata = {"history": json.dumps(history)}
        moments = {} if finished else {MOMENTS + key: value for key, value in state.moments.items()}
        self.save(name + ("" if finished else CHECKPOINT), {**state.weights, **moments}, metadata=metadata)
        self.write_lines(f"{name}.history.jsonl", history)
        if finished:
            (self.folder / f"{name}{CHECKPOINT}.safetensors").unlink(missing_ok=True)

    def load_state(self, name: str) -> State | None:
        """Read the solution, else the last checkpoint, else None: nothing was trained yet."""
        for candidate in (name, name + CHECKPOINT):
            if (self.folder / f"{candidate}.safetensors").exists():
                tensors, metadata = self.load(candidate)
                with readable(self.folder / f"{candidate}.safetensors"):
                    history = tuple(Epoch(**line) for line in json.loads(metadata["history"]))
                return State(
                    {key: value for key, value in tensors.items() if not key.startswith(MOMENTS)},
                    {key.removeprefix(MOMENTS): value for key, value in tensors.items() if key.startswith(MOMENTS)},
                    history,
                )
        return None

    def write_lines(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Write rows as JSON Lines."""
        write(self.folder / name, "".join(json.dumps(row) + "\n" for row in rows).encode())

    def add_line(self, name: str, row: dict[str, Any]) -> None:
        """Add a row to JSON Lines; none is lost where several processes add some at once."""
        with locked(self.folder):
            self.write_lines(name, [*self.read_lines(name), row])

    def read_lines(self, name: str, needed: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Read the rows written so far, each with the keys needed; none where there is no such file."""
        file = self.folder / name
        if not file.exists():
            return []
        with readable(file):
            lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
            return [having(json.loads(line), needed, f"line {number}") for number, line in enumerate(lines, 1)]

    def note_environment(self, environment: dict[str, Any]) -> dict[str, Any]:
        """Add this environment to environment.json unless it is there; give the one the run began in."""
        file = self.folder / "environment.json"
        with locked(self.folder):
            known = read_list(file) if file.exists() else []
            if environment not in known:
                write_json(file, [*known, environment])
        return known[0] if known else environment


def place(parent: Path, name: str, settings: dict[str, Any]) -> Path:
    """Where the run of these settings lies below `parent`."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:10]
    return parent / f"{name}-{digest}"


def open_run(parent: Path, name: str, settings: dict[str, Any]) -> Run:
    """Open the run folder of these settings below `parent`, or begin it.

    Raises:
        RunError: the folder cannot be made, or holds settings that are not these.

    """
    folder = place(parent, name, settings)
    file = folder / "settings.json"
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        foreign = any(p for p in folder.iterdir() if not p.name.startswith(".")) and not file.exists()
    with alone() as writes:
        for leftover in folder.glob(".*.*") if writes else ():  # of a process killed in mid-write
            if time.time() - leftover.stat().st_mtime > STALE:
                leftover.unlink(missing_ok=True)
    if foreign:
        raise RunError(f"{folder} holds files but no settings.json, so it is not a run: move it away or use --out")
    if file.exists() and read_json(file) != settings:
        raise RunError(f"{file} was changed since its run began: restore it, or move the folder away")
    if not file.exists():
        write_json(file, settings)
    return Run(folder)


def check_output(file: Path, inputs: Iterable[Path] = ()) -> None:
    """Refuse a file to write that the command reads, or that is part of a run folder or of a folder that it reads.

    Raises:
        UsageError: it is; nothing was written.

    """
    if not os.path.exists(file):
        if (file.parent / "settings.json").exists() and any(map(file.match, KEPT[1:])):
            raise UsageError(f"{file} is a name of the run folder {file.parent} itself: choose another")
        return
    read = [one for one in inputs if os.path.exists(one)]
    if any(os.path.samefile(file, one) for one in read):
        raise UsageError(f"{file} is read by this very command, which would replace it: choose another name")
    inside = (file.parent / "settings.json").exists() or any(os.path.samefile(file.parent, one) for one in read)
    if inside and any(file.match(kind) for kind in KEPT):
        raise UsageError(f"{file} is there already and belongs to {file.parent}: choose another name")


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


def write_json(file: Path, value: Any) -> None:
    """Write a JSON file, atomically."""
    write(file, (json.dumps(value, indent=1) + "\n").encode())


def write(file: Path, content: bytes) -> None:
    """Write a file so that it appears whole or not at all.

    Raises:
        RunError: no room, no permission; the file that was there before is untouched.

    """
    with written(file) as beside:
        beside.write_bytes(content)


@contextmanager
def written(file: Path) -> Iterator[Path]:
    """Give a name to write to; what rank 0 wrote is `file` afterwards."""
    with alone() as writes, written_here(file) if writes else nowhere(file) as place:
        yield place


@contextmanager
def alone() -> Iterator[bool]:
    """Say to rank 0 that it may change the disk, and to the others that they may not, while all of them wait."""
    group = world()
    group.wait()
    yield group.rank == 0
    group.wait()


def remove(folder: Path) -> None:
    """Remove a folder and what is in it, if it is there."""
    with alone() as writes:
        if writes:
            shutil.rmtree(folder, ignore_errors=True)


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
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from what they do `locked` in this folder; a lock ends with its process, however that ends.

    It is on settings.json. Windows and some file systems have no such locks: there nobody waits.
    """
    with ExitStack() as held:
        with suppress(OSError):
            if fcntl is not None and world().rank == 0:
                fcntl.flock(held.enter_context((folder / "settings.json").open("rb+")), fcntl.LOCK_EX)
        yield


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


def check_writable(folder: Path) -> None:
    """Raise a RunError for a folder that cannot be written: better before hours of work than after them."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        raise RunError(f"cannot write to {folder}: {there} is a file, not a folder, so nothing was computed")
    if not os.access(there, os.W_OK):
        raise RunError(f"cannot write to {there}: no permission, so nothing was computed")


@contextmanager
def readable(file: Path) -> Iterator[None]:
    """Turn whatever makes a file unreadable, or another file than ours, into a RunError that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise RunError(f"cannot read {file}: there is no such file") from error
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"cannot read {file}: {error}; restore it, or move it away to compute it again") from error
