"""MNIST's file format, IDX: a magic number, the shape, the bytes.

Layout (big-endian): two zero bytes, the element type (0x08: unsigned byte), the number of axes, one 32-bit
length per axis, then the elements. MNIST and Fashion-MNIST share the four file names below.
"""

import struct

import numpy as np
import torch

from sharpmin.data.examples import Examples
from sharpmin.errors import DataError

UNSIGNED_BYTE = 0x08


def parse_idx(content: bytes, *, axes: int) -> np.ndarray:
    """Return the unsigned bytes of an IDX file as an array with the given number of axes."""
    if content[:4] != bytes((0, 0, UNSIGNED_BYTE, axes)):
        raise DataError(f"not an IDX file of unsigned bytes with {axes} axes: it starts with {content[:4].hex(' ')}")
    header = 4 + 4 * axes
    if len(content) < header:
        raise DataError(f"IDX file truncated in its header: {len(content)} bytes")
    shape = struct.unpack(f">{axes}I", content[4:header])
    if len(content) != header + int(np.prod(shape, dtype=np.int64)):
        raise DataError(f"IDX file of shape {shape} has {len(content) - header} bytes of elements")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def read_mnist(contents: dict[str, bytes]) -> tuple[Examples, Examples]:
    """Read the training and the test examples out of MNIST's four files."""
    return _half(contents, "train"), _half(contents, "t10k")


def _half(contents: dict[str, bytes], prefix: str) -> Examples:
    images = parse_idx(contents[f"{prefix}-images-idx3-ubyte"], axes=3)
    labels = parse_idx(contents[f"{prefix}-labels-idx1-ubyte"], axes=1)
    return Examples(
        inputs=torch.from_numpy(images[:, None].copy()).float().div_(255),
        targets=torch.from_numpy(labels.astype(np.int64)),
    )
