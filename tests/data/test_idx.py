import numpy as np
import pytest
import torch

from data.files import idx, tiny_mnist
from sharpmin.data.idx import parse_idx, read_mnist
from sharpmin.errors import DataError

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def test_reads_what_was_written():
    assert (parse_idx(idx(IMAGES), axes=3) == IMAGES).all()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not an IDX file"),
        (b"\x1f\x8b\x08\x00 a gzip", "not an IDX file"),
        (idx(IMAGES[0]), "3 axes"),
        (idx(IMAGES)[:9], "truncated in its header"),
        (idx(IMAGES)[:-1], "23 bytes of elements"),
        (idx(IMAGES) + b"x", "25 bytes of elements"),
    ],
)
def test_refuses_what_is_no_idx_file(content, says):
    with pytest.raises(DataError, match=says):
        parse_idx(content, axes=3)


def test_pixels_are_divided_by_255_and_nothing_else():
    contents = tiny_mnist()
    train, test = read_mnist(contents)
    pixels = parse_idx(contents["train-images-idx3-ubyte"], axes=3)
    assert train.inputs.shape == (6, 1, 4, 5)
    assert train.inputs.dtype == torch.float32
    assert torch.equal(train.inputs[:, 0], torch.tensor(pixels.astype(np.float32) / np.float32(255)))
    assert train.targets.dtype == torch.int64
    assert len(test) == 3
