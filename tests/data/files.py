"""Small files made by hand, in the formats that the readers read, and a data set made of them."""

import hashlib
import io
import struct
import tarfile

import numpy as np

from sharpmin.data.dataset import DataSet, File, Form
from sharpmin.data.idx import read_mnist


def idx(array):
    """The array as an IDX file of unsigned bytes."""
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def tarball(members):
    """A .tar.gz of (TarInfo or name, content) pairs."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for member, content in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def file(name, content):
    """The catalogue's entry for a file of that content."""
    return File(name, hashlib.md5(content).hexdigest(), len(content))


def tiny_mnist(seed=0):
    """MNIST's four files, with six training and three test images of 4 x 5 pixels."""
    rng = np.random.default_rng(seed)
    contents = {}
    for prefix, count in (("train", 6), ("t10k", 3)):
        contents[f"{prefix}-images-idx3-ubyte"] = idx(rng.integers(0, 256, (count, 4, 5), np.uint8))
        contents[f"{prefix}-labels-idx1-ubyte"] = idx(rng.integers(0, 10, count, np.uint8))
    return contents


def tiny_dataset(contents, *sources):
    """A data set like MNIST whose canonical files are these."""
    files = tuple(file(name, content) for name, content in contents.items())
    form = Form(title="tiny IDX files", folders=("Tiny/raw", "."), files=files, read=read_mnist)
    return DataSet("tiny", "Tiny", 10, (form,), sources, advice="put the four files")


def write(folder, contents):
    """Write each content under its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
