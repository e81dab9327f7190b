"""Bringing a set into the cache: each source in turn, every file verified before it gets its name.

Sources work in a temporary folder beside the files. A verified file is written there and renamed into place:
processes that fetch at once replace each other's files by the same bytes, and one that dies leaves no half
file, only its temporary folder, which a later fetch sweeps away.
"""

import errno
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sharpmin.data.cache import FOLDER_VARIABLE, OFFLINE_VARIABLE, Copy
from sharpmin.data.dataset import DataSet, File, Source
from sharpmin.data.npm import NOT_INSTALLED
from sharpmin.data.verified import CorruptFile, mismatch, path_of
from sharpmin.errors import DataError
from sharpmin.progress import Progress

OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT)
WORK_PREFIX = ".fetch-"
DAY = 86_400.0


def bring(dataset: DataSet, copy: Copy, *, offline: bool, progress: Progress) -> None:
    """Complete our copy of a set from its sources; raise DataError telling what each of them said."""
    tried = []
    with _explained(dataset, copy.folder):
        copy.folder.mkdir(parents=True, exist_ok=True)
        _sweep(copy.folder)
        for source in dataset.sources:
            if not (wanted := _wanted(copy)):
                return
            skipped = offline and not source.local
            reason = "skipped, offline" if skipped else _take(source, wanted, copy.folder, progress)
            tried.append(f"{source.label} ({reason})")
        if _wanted(copy):
            raise DataError(_all_failed(dataset, copy.folder, "; ".join(tried), offline=offline))


def _wanted(copy: Copy) -> list[File]:
    """List the files that are missing; corrupt ones are removed, so they are missing too."""
    return [file for file in copy.form.files if not _sound(copy, file)]


def _sound(copy: Copy, file: File) -> bool:
    if path_of(copy.folder, file) is None:
        return False
    try:
        copy.read(file)
    except CorruptFile as error:
        warnings.warn(str(error), stacklevel=2)
        return False
    return True


def _take(source: Source, wanted: list[File], folder: Path, progress: Progress) -> str | None:
    """Store what one source has; return why it fell short, None where it did not."""
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=WORK_PREFIX, ignore_cleanup_errors=True) as work:
            for file, content in source.bring(wanted, Path(work), progress):
                if reason := mismatch(content, file):
                    return f"its {file.name} is not the original: {reason}"
                _store(content, Path(work) / "verified", folder / file.name)
    except DataError as error:
        return str(error)
    return None


def _store(content: bytes, draft: Path, target: Path) -> None:
    """Write a file so that it is either whole or not there."""
    draft.write_bytes(content)
    os.replace(draft, target)


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed left behind, once it is too old to be in use."""
    for left in folder.glob(f"{WORK_PREFIX}*"):
        if time.time() - left.stat().st_mtime > DAY:
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _explained(dataset: DataSet, folder: Path) -> Iterator[None]:
    """Turn a disk that is full or read-only into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in OUT_OF_SPACE:
            size = sum(file.size for file in dataset.forms[0].files)
            problem = f"no space left in {folder}: {size} bytes are needed, three times that at first"
        else:
            problem = f"{folder} cannot be written ({error.strerror or error})"
        raise DataError(f"{problem}; make room there or set {FOLDER_VARIABLE} to another folder") from error


def _all_failed(dataset: DataSet, folder: Path, tried: str, *, offline: bool) -> str:
    """Tell what was tried, and everything that would help."""
    ways = [f"{dataset.advice} in {folder.parent}", f"set {FOLDER_VARIABLE} to a folder that has it"]
    if NOT_INSTALLED in tried:
        ways.append("install npm")
    if offline:
        ways.append(f"let it go online ({OFFLINE_VARIABLE}=0, or in Python offline=False)")
    return f"{dataset.title} is not here and could not be fetched from {tried}. Either {', or '.join(ways)}."
