"""Contents of files, handed out only when their MD5 sum is the canonical one.

The bytes that were summed are the bytes that are returned, so nothing can change in between. Compressed
copies (`.gz` beside the plain name, as torchvision and Debian leave them) are summed after decompression:
compressing again changes the archive's own sum, never the content's.
"""

import gzip
import hashlib
import os
import zlib
from pathlib import Path

from sharpmin.data.dataset import File
from sharpmin.errors import DataError


class CorruptFile(DataError):
    """A file that is there but is not what its checksum promises."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is truncated, corrupted or another file ({reason})")
        self.path = path

    def remove(self) -> None:
        """Remove the file from the cache, and say so, or why that cannot be."""
        try:
            self.path.unlink(missing_ok=True)
            outcome = "it was removed from the cache"
        except OSError as error:
            outcome = f"it cannot be removed: {error.strerror}"
        self.args = (f"{self}; {outcome}",)


def path_of(folder: Path, file: File) -> Path | None:
    """Where `folder` keeps the file, plain or compressed; None where it does not."""
    candidates = (folder / file.name, folder / f"{file.name}.gz")
    return next((path for path in candidates if os.path.isfile(path)), None)


def read_verified(folder: Path, file: File) -> bytes:
    """Return the content of a file after checking its sum; raise CorruptFile where it differs."""
    path = path_of(folder, file)
    if path is None:
        raise DataError(f"{folder / file.name} is missing")
    content = _read(path, file)
    if reason := mismatch(content, file):
        raise CorruptFile(path, reason)
    return content


def mismatch(content: bytes, file: File) -> str | None:
    """Say how the content differs from what the file should be; None where it does not."""
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if digest == file.md5:
        return None
    return f"{len(content)} bytes with MD5 {digest}, expected {file.md5}"


def gunzip(path: Path, size: int) -> bytes:
    """Decompress a file, at most one byte beyond the size it should have."""
    try:
        with gzip.open(path) as stream:
            return stream.read(size + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorruptFile(path, str(error)) from error


def _read(path: Path, file: File) -> bytes:
    try:
        return path.read_bytes() if path.name == file.name else gunzip(path, file.size)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
