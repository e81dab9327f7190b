"""Files: what is written is whole, and what fails has a sentence; of several processes one writes."""

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sharpmin.disk import check_writable, remove, write, written
from sharpmin.distributed.group import Group
from sharpmin.errors import RunError


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
    monkeypatch.setattr("sharpmin.disk.Path.with_name", lambda self, name: type(self)("/dev/full"))
    monkeypatch.setattr("sharpmin.disk.Path.unlink", lambda self, **_: None)
    with pytest.raises(RunError, match="No space left on device"):
        write(tmp_path / "x.json", b"content")


def test_a_place_without_permission_is_told_before_the_work(tmp_path, monkeypatch):
    check_writable(tmp_path / "new" / "Figures")
    monkeypatch.setattr("os.access", lambda place, _: place != tmp_path)
    check_writable(tmp_path.parent)
    with pytest.raises(RunError, match=f"cannot write to {tmp_path}: no permission, so nothing was computed"):
        check_writable(tmp_path / "new" / "Figures")


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
    monkeypatch.setattr("sharpmin.disk.world", lambda: group)
    write(tmp_path / "x.json", b"content")
    assert group.met == [[], left]


@pytest.mark.parametrize(("rank", "left"), [(0, []), (1, ["sub", "x.json"])])
def test_rank_0_removes_between_two_meetings_of_all(tmp_path, monkeypatch, rank, left):
    write(tmp_path / "sub" / "x.json", b"content")
    group = Watched(rank, 2, tmp_path)
    monkeypatch.setattr("sharpmin.disk.world", lambda: group)
    remove(tmp_path / "sub")
    assert group.met == [["sub", "x.json"], left]
