"""CIFAR-10's and CIFAR-100's binary version: fixed-size records, one image each.

A record is one label byte (CIFAR-10) or a coarse and a fine one (CIFAR-100; the fine one counts here), then
3072 pixels: the red, the green and the blue plane of 32 x 32, row by row.
"""

import numpy as np
import torch

from sharpmin.data.archive import read_members
from sharpmin.data.examples import Examples
from sharpmin.errors import DataError

SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32


def parse_records(content: bytes, *, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels [N, 3072] and the last of each record's `labels` label bytes [N]."""
    if not content or len(content) % (labels + PIXELS):
        raise DataError(f"{len(content)} bytes are no whole number of {labels + PIXELS}-byte CIFAR records")
    records = np.frombuffer(content, np.uint8).reshape(-1, labels + PIXELS)
    return records[:, labels:], records[:, labels - 1]


def images(pixels: np.ndarray, labels: np.ndarray) -> Examples:
    """Make examples of pixels [N, 3072] and labels [N], both unsigned bytes."""
    inputs = torch.from_numpy(pixels.copy()).float().div_(255)
    return Examples(inputs.reshape(-1, *SHAPE), torch.from_numpy(labels.astype(np.int64)))


def read_cifar10(contents: dict[str, bytes]) -> tuple[Examples, Examples]:
    """Read the five training files and the test file of `cifar-10-batches-bin`."""
    training = b"".join(contents[f"data_batch_{number}.bin"] for number in range(1, 6))
    test = contents["test_batch.bin"]
    return images(*parse_records(training, labels=1)), images(*parse_records(test, labels=1))


def read_cifar100(contents: dict[str, bytes]) -> tuple[Examples, Examples]:
    """Read the training and the test file of `cifar-100-binary`, for the fine labels."""
    train, test = (parse_records(contents[f"{half}.bin"], labels=2) for half in ("train", "test"))
    return images(*train), images(*test)


def read_cifar10_archive(contents: dict[str, bytes]) -> tuple[Examples, Examples]:
    """Read the binary files inside `cifar-10-binary.tar.gz`."""
    names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    return read_cifar10(_unpacked(contents["cifar-10-binary.tar.gz"], "cifar-10-batches-bin", names))


def read_cifar100_archive(contents: dict[str, bytes]) -> tuple[Examples, Examples]:
    """Read the binary files inside `cifar-100-binary.tar.gz`."""
    archive = contents["cifar-100-binary.tar.gz"]
    return read_cifar100(_unpacked(archive, "cifar-100-binary", ["train.bin", "test.bin"]))


def _unpacked(archive: bytes, folder: str, names: list[str]) -> dict[str, bytes]:
    members = read_members(archive, [f"{folder}/{name}" for name in names])
    return {name: members[f"{folder}/{name}"] for name in names}
