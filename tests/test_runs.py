"""Run folders: what is written is whole, what is read is what was written, and everything else has a sentence."""

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from cases import random, same_bits
from forked import exit_code, start
from sharpmin.distributed.group import Group
from sharpmin.errors import RunError
from sharpmin.history import Epoch, State
from sharpmin.runs import Run, check_writable, open_run, read_json, remove, write, write_json, written

WEIGHTS = {"0.weight": random(3, 2, dtype=torch.float32), "0.bias": torch.tensor([torch.nan, -0.0])}
STATE = State(
    WEIGHTS,
    {"0.weight.exp_avg": random(3, 2, seed=1, dtype=torch.float32), "0.weight.step": torch.tensor(4.0)},
    (Epoch(1, 0.1, 0.5, None, None, 1.5), Epoch(2, float("nan"), 0.6, 0.3, 1 / 3, 1.25)),
)
SETTINGS = {"format": 1, "rate": 1e-3, "shape": [3, 32, 32], "size": None}


def bits(tensors):
    return {name: t.contiguous().view(torch.int32) for name, t in tensors.items()}


@pytest.mark.parametrize("finished", [False, True])
def test_a_state_comes_back_bit_for_bit(tmp_path, finished):
    Run(tmp_path).save_state("small", STATE, finished=finished)
    found = Run(tmp_path).load_state("small")
    assert same_bits(bits(found.weights), bits(WEIGHTS))
    assert same_bits(bits(found.moments), {} if finished else bits(STATE.moments))
    assert repr(found.history) == repr(STATE.history)  # NaN included


def test_the_solution_replaces_the_checkpoint(tmp_path):
    run = Run(tmp_path)
    run.save_state("small", STATE, finished=False)
    run.save_state("small", STATE, finished=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["small.history.jsonl", "small.safetensors"]


def test_nothing_trained_yet_is_no_state(tmp_path):
    assert Run(tmp_path).load_state("small") is None
    assert Run(tmp_path).read_lines("line.jsonl") == []


def test_lines_come_back(tmp_path):
    rows = [{"alpha": 0.1}, {"alpha": float("inf")}]
    Run(tmp_path).write_lines("line.jsonl", rows)
    assert Run(tmp_path).read_lines("line.jsonl") == rows


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
def test_rows_that_two_processes_add_at_once_are_all_there(tmp_path):
    program = (
        "import sys; from pathlib import Path; from sharpmin.runs import Run\n"
        "for n in range(100): Run(Path(sys.argv[1])).add_line('line.jsonl', {'by': sys.argv[2], 'n': n})"
    )
    folder = open_run(tmp_path, "C1", SETTINGS).folder
    assert exit_code(*(start(program, folder, by) for by in "ab")) == 0
    rows = Run(folder).read_lines("line.jsonl")
    assert [row["n"] for row in rows if row["by"] == "a"] == [row["n"] for row in rows if row["by"] == "b"]
    assert len(rows) == 200


def write_half(file):
    with written(file) as beside:
        beside.write_text("half")
        raise ArithmeticError


def test_an_exception_while_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "numbers.json"
    file.write_text("old")

    with pytest.raises(ArithmeticError):
        write_half(file)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_is_one_sentence_and_the_old_file_stays(tmp_path, monkeypatch, call):
    file = tmp_path / "numbers.json"
    file.write_text("old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(RunError, match=f"cannot write {file}: No space left on device; free some room") as caught:
        write(file, b"new")
    monkeypatch.undo()
    assert "\n" not in str(caught.value)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_really_full_device(tmp_path, monkeypatch):
    monkeypatch.setattr("sharpmin.runs.Path.with_name", lambda self, name: type(self)("/dev/full"))
    monkeypatch.setattr("sharpmin.runs.Path.unlink", lambda self, **_: None)
    with pytest.raises(RunError, match="No space left on device"):
        write(tmp_path / "x.json", b"content")


@pytest.mark.parametrize("spoil", [lambda b: b[:-1], lambda b: b[:20], lambda b: b"", lambda b: b"\xff" * len(b)])
def test_a_truncated_or_corrupted_tensor_file_is_named(tmp_path, spoil):
    run = Run(tmp_path)
    run.save_state("small", STATE, finished=True)
    file = tmp_path / "small.safetensors"
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(RunError, match=f"cannot read {file}"):
        run.load_state("small")


def test_a_tensor_file_of_somebody_elses_is_named(tmp_path):
    Run(tmp_path).save("small", WEIGHTS)
    with pytest.raises(RunError, match=f"cannot read {tmp_path}/small.safetensors"):
        Run(tmp_path).load_state("small")


@pytest.mark.parametrize("content", [b'{"alpha": 1}\n{"alp', b"\xff\xfe"])
def test_lines_that_are_no_json_are_named(tmp_path, content):
    (tmp_path / "line.jsonl").write_bytes(content)
    with pytest.raises(RunError, match=f"cannot read {tmp_path}/line.jsonl"):
        Run(tmp_path).read_lines("line.jsonl")


def test_the_same_settings_open_the_same_folder_and_others_another(tmp_path):
    first = open_run(tmp_path, "C1", SETTINGS)
    assert open_run(tmp_path, "C1", dict(reversed(SETTINGS.items()))) == first
    assert open_run(tmp_path, "C1", {**SETTINGS, "rate": 2e-3}) != first
    assert first.folder.name.startswith("C1-")


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    folder = open_run(tmp_path, "C1", SETTINGS).folder
    (folder / "settings.json").rename(folder / "holiday.txt")
    with pytest.raises(RunError, match=f"{folder} holds files but no settings.json"):
        open_run(tmp_path, "C1", SETTINGS)
    assert [p.name for p in folder.iterdir()] == ["holiday.txt"]


def test_a_folder_begun_and_killed_before_its_settings_is_taken_up(tmp_path):
    folder = open_run(tmp_path, "C1", SETTINGS).folder
    (folder / "settings.json").rename(folder / ".123.settings.json")
    assert open_run(tmp_path, "C1", SETTINGS).folder == folder


def test_changed_settings_are_refused(tmp_path):
    file = open_run(tmp_path, "C1", SETTINGS).folder / "settings.json"
    write_json(file, {**SETTINGS, "rate": 1})
    with pytest.raises(RunError, match=f"{file} was changed since its run began"):
        open_run(tmp_path, "C1", SETTINGS)


def test_unreadable_settings_are_named(tmp_path):
    file = open_run(tmp_path, "C1", SETTINGS).folder / "settings.json"
    file.write_text('{"format":')
    with pytest.raises(RunError, match=f"cannot read {file}"):
        open_run(tmp_path, "C1", SETTINGS)


def test_a_place_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "runs").write_text("not a folder")
    with pytest.raises(RunError, match=f"cannot write {tmp_path}/runs/C1-.*write to another folder"):
        open_run(tmp_path / "runs", "C1", SETTINGS)


def test_a_file_that_is_not_there_is_no_file_to_restore(tmp_path):
    for read in (lambda: read_json(tmp_path / "no.json"), lambda: Run(tmp_path).load("no")):
        with pytest.raises(RunError, match=r"cannot read .*no\..*: there is no such file$"):
            read()


def test_a_place_without_permission_is_told_before_the_work(tmp_path, monkeypatch):
    check_writable(tmp_path / "new" / "Figures")
    monkeypatch.setattr("os.access", lambda place, _: place != tmp_path)
    check_writable(tmp_path.parent)
    with pytest.raises(RunError, match=f"cannot write to {tmp_path}: no permission, so nothing was computed"):
        check_writable(tmp_path / "new" / "Figures")


def test_each_environment_is_noted_once(tmp_path):
    run = Run(tmp_path)
    notes = [run.note_environment({"threads": n}) for n in (2, 2, 1, 1)]
    assert notes == [{"threads": 2}] * 4  # the one it began in
    assert (tmp_path / "environment.json").read_text().count("threads") == 2


def test_what_a_killed_process_left_half_written_is_swept_once_it_is_old(tmp_path):
    folder = open_run(tmp_path, "F1", {"seed": 0}).folder
    old, fresh = folder / ".123.x0.safetensors", folder / ".124.x0.safetensors"
    for leftover in (old, fresh):
        leftover.write_bytes(b"half")
    os.utime(old, (0, 0))
    open_run(tmp_path, "F1", {"seed": 0})
    assert not old.exists()
    assert fresh.exists()


@dataclass(frozen=True)
class Watched(Group):
    """A process of two that notes what is in a folder whenever all of them meet."""

    folder: Path = Path()
    met: list[list[str]] = field(default_factory=list)

    def wait(self):
        self.met.append(sorted(p.name for p in self.folder.rglob("*")))


@pytest.mark.parametrize(("rank", "left"), [(0, ["x.json"]), (1, [])])
def test_rank_0_writes_between_two_meetings_of_all(tmp_path, monkeypatch, rank, left):
    group = Watched(rank, 2, tmp_path)
    monkeypatch.setattr("sharpmin.runs.world", lambda: group)
    write(tmp_path / "x.json", b"content")
    assert group.met == [[], left]


@pytest.mark.parametrize(("rank", "left"), [(0, []), (1, ["sub", "x.json"])])
def test_rank_0_removes_between_two_meetings_of_all(tmp_path, monkeypatch, rank, left):
    write(tmp_path / "sub" / "x.json", b"content")
    group = Watched(rank, 2, tmp_path)
    monkeypatch.setattr("sharpmin.runs.world", lambda: group)
    remove(tmp_path / "sub")
    assert group.met == [["sub", "x.json"], left]
