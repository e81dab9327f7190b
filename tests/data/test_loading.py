import gzip
from pathlib import Path

import numpy as np
import platformdirs
import pytest
import torch

from data.files import tiny_dataset, tiny_mnist, write
from sharpmin import data
from sharpmin.data.cache import data_folder, is_offline
from sharpmin.data.dataset import Source
from sharpmin.data.loading import read_cached, read_own
from sharpmin.errors import DataError, UsageError
from sharpmin.progress import silent

CONTENTS = tiny_mnist()
SOURCE = Source("here", lambda wanted, *_: ((file, CONTENTS[file.name]) for file in wanted))
TINY = tiny_dataset(CONTENTS, SOURCE)


def cached(root, dataset=TINY, *, offline=False):
    return read_cached(dataset, root, offline=offline, progress=silent)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.delenv("SHARPMIN_DATA", raising=False)
    monkeypatch.delenv("SHARPMIN_OFFLINE", raising=False)


def test_fetches_once_and_then_reads_the_cache(tmp_path):
    first = cached(tmp_path)
    second = cached(tmp_path, tiny_dataset(CONTENTS), offline=True)
    assert torch.equal(first.train.inputs, second.train.inputs)
    assert (second.name, second.classes, second.synthetic) == ("tiny", 10, False)
    assert str(tmp_path) not in second.source


@pytest.mark.parametrize("folder", [".", "Tiny/raw", "tiny"])
def test_a_users_folder_is_read_in_any_layout(tmp_path, folder):
    write(tmp_path / folder, CONTENTS)
    assert len(read_own(TINY, tmp_path).train) == 6


def test_compressed_files_count_by_their_content(tmp_path):
    write(tmp_path, {f"{name}.gz": gzip.compress(content) for name, content in CONTENTS.items()})
    assert len(read_own(TINY, tmp_path).test) == 3


@pytest.mark.parametrize("spoil", [lambda b: b[:-1], lambda b: b"x" + b[1:], lambda b: b + b"x", lambda b: b""])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_users_corrupt_file_is_named_and_left_alone(tmp_path, spoil, compressed):
    bad = spoil(CONTENTS["train-labels-idx1-ubyte"])
    write(tmp_path, CONTENTS)
    path = tmp_path / "train-labels-idx1-ubyte"
    if compressed:
        path.unlink()
        path, bad = path.with_name(f"{path.name}.gz"), gzip.compress(bad)
    path.write_bytes(bad)
    with pytest.raises(DataError, match=f"{path} is truncated, corrupted or another file"):
        read_own(TINY, tmp_path)
    assert path.read_bytes() == bad


def test_a_truncated_gzip_is_named(tmp_path):
    write(tmp_path, {f"{name}.gz": gzip.compress(content)[:-9] for name, content in CONTENTS.items()})
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is truncated"):
        read_own(TINY, tmp_path)


def test_an_incomplete_folder_says_what_to_put_there(tmp_path):
    write(tmp_path, {"train-images-idx3-ubyte": b""})
    with pytest.raises(DataError, match=f"{tmp_path} holds no complete Tiny: put the four files there"):
        read_own(TINY, tmp_path)


def test_a_corrupt_file_in_the_cache_is_named_removed_and_fetched_again(tmp_path):
    write(tmp_path / "tiny", CONTENTS | {"train-labels-idx1-ubyte": b"rotten"})
    with pytest.warns(UserWarning, match="train-labels-idx1-ubyte is truncated.*removed from the cache"):
        assert len(cached(tmp_path).train) == 6
    assert (tmp_path / "tiny/train-labels-idx1-ubyte").read_bytes() == CONTENTS["train-labels-idx1-ubyte"]


def test_a_users_layout_beside_the_cache_is_used_but_never_removed(tmp_path):
    write(tmp_path / "Tiny/raw", CONTENTS)
    assert len(cached(tmp_path, tiny_dataset(CONTENTS), offline=True).train) == 6
    write(tmp_path / "Tiny/raw", {"train-labels-idx1-ubyte": b"rotten"})
    with pytest.warns(UserWarning, match="Tiny/raw/train-labels-idx1-ubyte is truncated"):
        assert len(cached(tmp_path).train) == 6
    assert (tmp_path / "Tiny/raw/train-labels-idx1-ubyte").read_bytes() == b"rotten"


def test_the_folder_is_the_argument_else_the_variable_else_the_platforms(tmp_path, monkeypatch):
    assert data_folder() == platformdirs.user_cache_path("sharpmin")
    monkeypatch.setenv("SHARPMIN_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    assert data_folder("relative") == Path.cwd() / "relative"


def test_offline_is_the_argument_else_the_variable(monkeypatch):
    assert not is_offline()
    monkeypatch.setenv("SHARPMIN_OFFLINE", "0")
    assert not is_offline()
    monkeypatch.setenv("SHARPMIN_OFFLINE", "1")
    assert is_offline()
    assert not is_offline(False)


def test_the_public_calls_honour_both_variables(tmp_path, monkeypatch):
    monkeypatch.setenv("SHARPMIN_DATA", str(tmp_path))
    monkeypatch.setenv("SHARPMIN_OFFLINE", "1")
    for call in (data.load, data.fetch):
        with pytest.raises(DataError, match=f"skipped, offline.*{tmp_path}"):
            call("cifar10")


@pytest.mark.parametrize("call", [data.load, data.fetch, data.check])
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cifar", "did you mean cifar10"),
        ("MNIST", "did you mean mnist"),
        ("qqq", "set 'qqq': the choices are mnist"),
    ],
)
def test_an_unknown_name_lists_the_choices(call, name, says):
    with pytest.raises(UsageError, match=says):
        call(name)


@pytest.mark.parametrize("name", ["speech", "synthetic"])
def test_what_is_not_fetched_says_so(name):
    with pytest.raises(UsageError, match="is not fetched"):
        data.fetch(name)


def test_synthetic_and_speech_load_by_name_too(tmp_path):
    assert data.load("synthetic").synthetic
    np.savez(tmp_path / "s.npz", x=np.zeros((20, 360), np.float32), y=np.arange(20)[::-1])
    assert len(data.load("speech", path=tmp_path / "s.npz").test) == 2
    with pytest.raises(UsageError, match="path="):
        data.load("speech")


def test_a_users_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="holds no complete MNIST"):
        data.load("mnist", path=tmp_path / "absent")
