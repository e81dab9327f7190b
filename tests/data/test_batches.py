"""Batches as Python 2 wrote them, opcode by opcode; the real ones are too large to ship."""

import pickle
import struct

import numpy as np
import pytest

from sharpmin.data.batches import parse_batch, read_cifar10_batches, read_cifar100_batches
from sharpmin.errors import DataError

RNG = np.random.default_rng(1)


def text(value):
    return b"U" + bytes((len(value),)) + value


def integer(value):
    return b"K" + bytes((value,)) if value < 256 else b"M" + struct.pack("<H", value)


def array(pixels, *, fortran):
    data = pixels.tobytes(order="F" if fortran else "C")
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
        + integer(pixels.shape[0])
        + integer(pixels.shape[1])
        + b"\x86"
        + dtype
        + (b"\x88" if fortran else b"\x89")
        + b"T"
        + struct.pack("<I", len(data))
        + data
        + b"tb"
    )


def batch(pixels, labels, *, key=b"labels", fortran=False):
    return b"".join(
        [
            b"\x80\x02}q\x01(",
            text(b"batch_label") + text(b"training batch 1 of 5"),
            text(b"coarse_labels") + b"](" + b"".join(integer(7) for _ in labels) + b"e",
            text(key) + b"]q\x04(" + b"".join(map(integer, labels)) + b"e",
            text(b"data") + array(pixels, fortran=fortran),
            text(b"filenames") + b"](" + b"".join(text(b"a.png") + integer(9) for _ in labels) + b"e",
            b"u.",
        ]
    )


def some(count=4):
    return RNG.integers(0, 256, (count, 3072), np.uint8), RNG.integers(0, 100, count, np.uint8)


@pytest.mark.parametrize("fortran", [False, True])
@pytest.mark.parametrize("key", [b"labels", b"fine_labels"])
def test_picks_out_the_pixels_and_the_labels(fortran, key):
    pixels, labels = some()
    found_pixels, found_labels = parse_batch(batch(pixels, labels.tolist(), key=key, fortran=fortran))
    assert (found_pixels == pixels).all()
    assert (found_labels == labels).all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("fortran", [False, True])
def test_agrees_with_unpickling(fortran):
    pixels, labels = some()
    content = batch(pixels, labels.tolist(), fortran=fortran)
    unpickled = pickle.loads(content, encoding="bytes")
    assert (unpickled[b"data"] == parse_batch(content)[0]).all()
    assert unpickled[b"labels"] == parse_batch(content)[1].tolist()


def test_runs_nothing(tmp_path):
    trap = tmp_path / "sprung"
    content = b"cos\nsystem\n" + text(f"touch {trap}".encode()) + b"\x85R."
    with pytest.raises(DataError, match="do not make a CIFAR batch"):
        parse_batch(content)
    assert not trap.exists()


def test_reads_both_sets():
    parts = {f"data_batch_{number}": some() for number in range(1, 6)} | {"test_batch": some(2)}
    train, test = read_cifar10_batches({name: batch(p, y.tolist()) for name, (p, y) in parts.items()})
    assert (len(train), len(test)) == (20, 2)
    assert train.targets[4:8].tolist() == parts["data_batch_2"][1].tolist()
    halves = {
        name: batch(p, y.tolist(), key=b"fine_labels") for name, (p, y) in {"train": some(), "test": some(3)}.items()
    }
    train, test = read_cifar100_batches(halves)
    assert (len(train), len(test)) == (4, 3)
