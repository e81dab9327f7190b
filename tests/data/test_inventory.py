import pytest

from data.files import tiny_dataset, tiny_mnist, write
from sharpmin.data.dataset import Source
from sharpmin.data.inventory import check, status

CONTENTS = tiny_mnist()


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    dataset = tiny_dataset(CONTENTS, Source("here", lambda *_: iter(())))
    monkeypatch.setattr("sharpmin.data.inventory.FETCHED", (dataset,))


def test_a_missing_set(tmp_path):
    (row,) = status(cache=tmp_path)
    assert (row.state, row.bytes, row.note) == ("missing", 0, "0 of 4 files")
    assert row.folder == tmp_path / "tiny"
    assert row.sources == ("here",)
    assert check(cache=tmp_path) == [row]


def test_a_present_set_is_verified_by_check_alone(tmp_path):
    write(tmp_path / "tiny", CONTENTS)
    (listed,), (checked,) = status(cache=tmp_path), check(cache=tmp_path)
    assert (listed.state, checked.state) == ("present", "verified")
    assert listed.bytes == sum(map(len, CONTENTS.values()))


def test_a_corrupt_file_of_ours_is_named_and_removed(tmp_path):
    write(tmp_path / "tiny", CONTENTS | {"train-labels-idx1-ubyte": b"rotten"})
    (row,) = check(cache=tmp_path)
    assert row.state == "corrupt"
    assert "train-labels-idx1-ubyte is truncated" in row.note
    assert "removed" in row.note
    (row,) = check(cache=tmp_path)
    assert (row.state, row.note) == ("missing", "3 of 4 files")


def test_a_corrupt_file_of_the_users_stays(tmp_path):
    write(tmp_path / "Tiny/raw", CONTENTS | {"train-labels-idx1-ubyte": b"rotten"})
    (row,) = check(cache=tmp_path)
    assert row.state == "corrupt"
    assert row.folder == tmp_path / "Tiny/raw"
    assert "removed" not in row.note
    assert (tmp_path / "Tiny/raw/train-labels-idx1-ubyte").exists()
