"""Run folders: one for the settings of a training, with what was measured on it.

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
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from sharpmin.disk import alone, explained, having, locked, read_json, read_list, readable, write, write_json
from sharpmin.errors import RunError, UsageError
from sharpmin.history import Epoch, State

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

    def drop(self, name: str) -> None:
        """Remove the files of `name`: tensors, checkpoint, history; those that are there."""
        with alone() as writes:
            for file in self.folder.glob(f"{name}.*") if writes else ():
                file.unlink(missing_ok=True)

    def save_state(self, name: str, state: State, *, finished: bool) -> None:
        """Keep a training state: after each epoch as a checkpoint, at the end as the solution."""
        history = [asdict(epoch) for epoch in state.history]
        metadata = {"history": json.dumps(history)}
        moments = {} if finished else {MOMENTS + key: value for key, value in state.moments.items()}
        self.save(name + ("" if finished else CHECKPOINT), {**state.weights, **moments}, metadata=metadata)
        self.write_lines(f"{name}.history.jsonl", history)
        if finished:
            self.drop(name + CHECKPOINT)

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
