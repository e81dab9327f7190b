"""The real sets, from the sources that this machine reaches. Run with `-m download`."""

import hashlib
import os

import pytest
import torch

from sharpmin import data
from sharpmin.data.catalogue import CIFAR10, MNIST

pytestmark = pytest.mark.download

FIRST_LABELS = {
    "mnist": ([5, 0, 4, 1, 9, 2, 1, 3, 1, 4], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]),
    "fashion-mnist": ([9, 0, 0, 3, 0, 2, 7, 2, 5, 5], [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]),
    "cifar10": ([6, 9, 9, 4, 1, 1, 2, 7, 8, 3], [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]),
}


def first_labels(split):
    return split.train.targets[:10].tolist(), split.test.targets[:10].tolist()


@pytest.mark.parametrize("dataset", [MNIST, CIFAR10], ids=["mnist", "cifar10"])
def test_fetched_files_are_the_authors_own(tmp_path, dataset):
    folder = data.fetch(dataset.name, cache=tmp_path)
    files = dataset.forms[0].files
    assert {path.name for path in folder.iterdir()} == {file.name for file in files}
    for file in files:
        content = (folder / file.name).read_bytes()
        assert (hashlib.md5(content).hexdigest(), len(content)) == (file.md5, file.size)
    split = data.load(dataset.name, cache=tmp_path, offline=True)
    assert len(split.test) == 10_000
    assert first_labels(split) == FIRST_LABELS[dataset.name]
    assert split.train.inputs.min() == 0
    assert split.train.inputs.max() == 1


@pytest.mark.skipif(not os.path.isdir("/usr/share/datasets/fashion-mnist"), reason="needs dataset-fashion-mnist")
def test_fashion_mnist_from_debian(tmp_path):
    split = data.load("fashion-mnist", cache=tmp_path, offline=True)
    assert torch.bincount(split.train.targets).tolist() == [6000] * 10
    assert first_labels(split) == FIRST_LABELS["fashion-mnist"]
