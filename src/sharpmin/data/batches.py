"""The CIFAR files torchvision unpacks (`cifar-10-batches-py`, `cifar-100-python`), read without unpickling.

They are Python 2 pickles of a dictionary: "labels" (CIFAR-100: "fine_labels") a list of small integers,
"data" an array of unsigned bytes [N, 3072], and more. A pickle is a program, and nothing here runs it:
`pickletools.genops` lists the opcodes with their literal arguments, and the two values are picked out of the
list. It is enough for these very files, whose checksums are verified first, and for no others.
"""

import pickletools
from typing import Any

import numpy as np

from sharpmin.data.cifar import PIXELS, images
from sharpmin.data.examples import Examples
from sharpmin.errors import DataError

LABEL_KEYS = ("labels", "fine_labels")


def parse_batch(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels [N, 3072] and the labels [N] of one file."""
    labels: list[Any] = []
    data: Any = ""
    key, order = None, "C"
    for opcode, argument, _ in pickletools.genops(content):
        match opcode.name:
            case "SHORT_BINSTRING":  # a key of the dictionary, or a short value nobody needs
                key = argument
            case "BININT1" if key in LABEL_KEYS:
                labels.append(argument)
            case "NEWTRUE":  # the array's "Fortran order" flag, just before its bytes
                order = "F"
            case "BINSTRING":
                data = argument
    return _pixels(data.encode("latin-1"), len(labels), order), np.array(labels, np.uint8)


def _pixels(data: bytes, count: int, order: str) -> np.ndarray:
    if not count or len(data) != count * PIXELS:
        raise DataError(f"{count} labels and {len(data)} bytes of pixels do not make a CIFAR batch")
    pixels = np.frombuffer(data, np.uint8)
    return pixels.reshape(PIXELS, count).T if order == "F" else pixels.reshape(count, PIXELS)


def read_cifar10_batches(contents: dict[str, bytes]) -> tuple[Examples, Examples]:
    """Read the files of `cifar-10-batches-py`."""
    batches = [parse_batch(contents[f"data_batch_{number}"]) for number in range(1, 6)]
    pixels, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return images(pixels, labels), images(*parse_batch(contents["test_batch"]))


def read_cifar100_batches(contents: dict[str, bytes]) -> tuple[Examples, Examples]:
    """Read the files of `cifar-100-python`."""
    return images(*parse_batch(contents["train"])), images(*parse_batch(contents["test"]))
