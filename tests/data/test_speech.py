import numpy as np
import pytest
import torch

from sharpmin.data.speech import read_speech
from sharpmin.errors import DataError

RNG = np.random.default_rng(4)


def frames(count=30):
    return {"x": RNG.standard_normal((count, 360)), "y": RNG.permutation(count)}


@pytest.fixture
def saved(tmp_path):
    def save(**arrays):
        path = tmp_path / "frames.npz"
        np.savez(path, **arrays)
        return path

    return save


def test_the_last_tenth_is_the_test_set(saved):
    arrays = frames()
    split = read_speech(saved(**arrays))
    assert (len(split.train), len(split.test), split.classes) == (27, 3, 30)
    assert torch.equal(split.test.inputs, torch.tensor(arrays["x"][27:], dtype=torch.float32))
    assert split.test.targets.tolist() == arrays["y"][27:].tolist()
    assert split.source.startswith("frames.npz, MD5 ")


def test_a_test_set_in_the_file_is_taken_as_it_is(saved):
    train, test = frames(), frames(5)
    split = read_speech(saved(**train, x_test=test["x"].astype(np.float32), y_test=test["y"].astype(np.uint16)))
    assert (len(split.train), len(split.test)) == (30, 5)
    assert split.test.inputs.dtype == torch.float32
    assert split.test.targets.dtype == torch.int64


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"x": np.zeros((30, 359))}, r"expected floats \[N, 360\]"),
        ({"x": np.zeros((30, 360), int)}, r"expected floats \[N, 360\]"),
        ({"x": np.zeros((0, 360)), "y": np.zeros(0, int)}, r"expected floats \[N, 360\]"),
        ({"x": np.full((30, 360), np.nan)}, "not finite"),
        ({"x": np.full((30, 360), 1e300)}, "not finite"),
        ({"y": np.zeros(30)}, "expected 30 integers"),
        ({"y": np.zeros(29, int)}, "expected 30 integers"),
        ({"y": np.full(30, -1)}, "expected 30 integers"),
        ({"y": np.arange(30)}, "sorted by class"),
        ({"x_test": np.zeros((3, 360))}, "x_test and y_test are needed"),
        ({"x": np.zeros((9, 360)), "y": np.arange(9)[::-1]}, "10 at least"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_what_cannot_be_used_is_told(saved, change, says):
    with pytest.raises(DataError, match=says):
        read_speech(saved(**frames() | change))


def test_missing_arrays_are_told(saved):
    with pytest.raises(DataError, match="has features: x and y are needed"):
        read_speech(saved(features=np.zeros(3)))


def test_pickled_arrays_are_refused(saved):
    with pytest.raises(DataError, match=r"no \.npz of plain arrays"):
        read_speech(saved(x=np.array([{}, {}], dtype=object), y=np.arange(2)))


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut"])
def test_another_file_is_told(tmp_path, content):
    path = tmp_path / "frames.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"no \.npz of plain arrays"):
        read_speech(path)


def test_a_single_array_is_told(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    with pytest.raises(DataError, match="single array"):
        read_speech(tmp_path / "x.npy")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_speech(tmp_path / "absent.npz")
