"""Files out of a tar archive without unpacking it.

Only regular members whose full name was asked for are read, and they are read into memory: nothing in an
archive can choose where it is written, so no `../`, absolute name or link can escape.
"""

import tarfile
import zlib
from collections.abc import Collection
from io import BytesIO
from pathlib import Path

from sharpmin.errors import DataError

LARGEST_MEMBER = 1 << 28
"""Bytes; the largest file of any set here is 154 MB."""


def read_members(archive: Path | bytes, names: Collection[str]) -> dict[str, bytes]:
    """Return the contents of the named members; raise DataError where one is missing."""
    found: dict[str, bytes] = {}
    try:
        with _open(archive) as tar:
            for member in tar:
                if member.name in names and member.isfile():
                    found[member.name] = _content(tar, member)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"the archive is truncated or corrupted: {error}") from error
    if missing := sorted(set(names) - set(found)):
        raise DataError(f"the archive holds no file {', '.join(missing)}")
    return found


def _open(archive: Path | bytes) -> tarfile.TarFile:
    if isinstance(archive, bytes):
        return tarfile.open(fileobj=BytesIO(archive), mode="r|gz")
    return tarfile.open(archive, mode="r|gz")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > LARGEST_MEMBER:
        raise DataError(f"the archive's {member.name} claims {member.size} bytes; no file here is that large")
    stream = tar.extractfile(member)
    return stream.read() if stream else b""
