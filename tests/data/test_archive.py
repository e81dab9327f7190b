import random
import tarfile

import pytest

from data.files import tarball
from sharpmin.data import archive
from sharpmin.data.archive import read_members
from sharpmin.errors import DataError


def special(name, kind, target="/etc/passwd"):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_reads_the_named_members_from_a_path_or_from_bytes(tmp_path):
    content = tarball([("a/one", b"1"), ("a/two", b"22"), ("a/three", b"333")])
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    assert read_members(path, ["a/one", "a/three"]) == {"a/one": b"1", "a/three": b"333"}
    assert read_members(content, ["a/two"]) == {"a/two": b"22"}


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
def test_nothing_is_written_wherever_a_member_points(tmp_path, monkeypatch, name):
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    assert read_members(tarball([(name, b"evil"), ("good", b"g")]), ["good"]) == {"good": b"g"}
    assert [path.name for path in tmp_path.rglob("*")] == ["inside"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_a_link_or_device_under_an_expected_name_is_no_file(kind):
    with pytest.raises(DataError, match="holds no file good"):
        read_members(tarball([(special("good", kind), b"")]), ["good"])


def test_a_member_larger_than_any_data_set_is_refused(monkeypatch):
    monkeypatch.setattr(archive, "LARGEST_MEMBER", 3)
    with pytest.raises(DataError, match="claims 4 bytes"):
        read_members(tarball([("good", b"four")]), ["good"])


@pytest.mark.parametrize("keep", [0, 5, 60, 600, 3000, 50_000])
def test_a_truncated_archive_is_told(keep):
    whole = tarball([("good", random.Random(0).randbytes(60_000))])
    with pytest.raises(DataError, match=r"truncated|holds no file|corrupted"):
        read_members(whole[:keep], ["good"])


def test_something_else_is_told(tmp_path):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match="truncated or corrupted"):
        read_members(path, ["good"])
