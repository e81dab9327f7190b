import numpy as np
import pytest
import torch

from data.files import tarball
from sharpmin.data.cifar import (
    parse_records,
    read_cifar10,
    read_cifar10_archive,
    read_cifar100,
    read_cifar100_archive,
)
from sharpmin.errors import DataError

RNG = np.random.default_rng(0)


def records(count, label_bytes):
    return RNG.integers(0, 10, (count, label_bytes + 3072), np.uint8)


CIFAR10 = {
    **{f"data_batch_{number}.bin": records(2, 1) for number in range(1, 6)},
    "test_batch.bin": records(3, 1),
}
CIFAR100 = {"train.bin": records(4, 2), "test.bin": records(3, 2)}


def as_bytes(files):
    return {name: array.tobytes() for name, array in files.items()}


def test_cifar10_keeps_order_and_planes():
    train, test = read_cifar10(as_bytes(CIFAR10))
    third = CIFAR10["data_batch_2.bin"][0]
    assert train.inputs.shape == (10, 3, 32, 32)
    assert train.targets[2] == third[0]
    assert torch.equal(train.inputs[2, 1, 0], torch.tensor(third[1 + 1024 : 1 + 1024 + 32]).float() / 255)
    assert test.targets.tolist() == CIFAR10["test_batch.bin"][:, 0].tolist()


def test_cifar100_takes_the_fine_label():
    train, _ = read_cifar100(as_bytes(CIFAR100))
    assert train.targets.tolist() == CIFAR100["train.bin"][:, 1].tolist()
    assert torch.equal(train.inputs[0].flatten(), torch.tensor(CIFAR100["train.bin"][0, 2:]).float() / 255)


@pytest.mark.parametrize(
    ("files", "folder", "name", "plain", "packed"),
    [
        (CIFAR10, "cifar-10-batches-bin", "cifar-10-binary.tar.gz", read_cifar10, read_cifar10_archive),
        (CIFAR100, "cifar-100-binary", "cifar-100-binary.tar.gz", read_cifar100, read_cifar100_archive),
    ],
)
def test_an_archive_reads_as_its_files_do(files, folder, name, plain, packed):
    archive = tarball((f"{folder}/{member}", content) for member, content in as_bytes(files).items())
    for from_archive, from_files in zip(packed({name: archive}), plain(as_bytes(files)), strict=True):
        assert torch.equal(from_archive.inputs, from_files.inputs)
        assert torch.equal(from_archive.targets, from_files.targets)


@pytest.mark.parametrize("size", [0, 3072, 3074])
def test_refuses_a_ragged_file(size):
    with pytest.raises(DataError, match="no whole number"):
        parse_records(bytes(size), labels=1)
