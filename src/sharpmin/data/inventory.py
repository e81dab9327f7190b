"""What the data folder holds, set by set: for `sharpmin data list` and `sharpmin data check`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sharpmin.data.cache import Copy, copies, data_folder, own_copy
from sharpmin.data.catalogue import FETCHED, find
from sharpmin.data.dataset import DataSet
from sharpmin.data.verified import path_of
from sharpmin.errors import DataError


@dataclass(frozen=True)
class Status:
    """One set in one line.

    `state` is "missing", "present" (all files are there, unread), "verified" (their checksums are right) or
    "corrupt"; `folder` is where the files are or would be, `bytes` their size on disk, `note` what else there
    is to say.
    """

    name: str
    title: str
    state: Literal["missing", "present", "verified", "corrupt"]
    folder: Path
    bytes: int
    sources: tuple[str, ...]
    note: str = ""


def status(*, cache: str | Path | None = None) -> list[Status]:
    """List every set that can be fetched, without reading any file."""
    root = data_folder(cache)
    return [_row(dataset, root, next(copies(dataset, root), None)) for dataset in FETCHED]


def check(name: str | None = None, *, cache: str | Path | None = None) -> list[Status]:
    """Verify the checksums of one set, or of all; a corrupt file of the cache's own is removed."""
    datasets = FETCHED if name is None else (find(name),)
    return [_checked(dataset, data_folder(cache)) for dataset in datasets]


def _row(dataset: DataSet, root: Path, copy: Copy | None) -> Status:
    place = copy or own_copy(dataset, root)
    paths = [path for file in place.form.files if (path := path_of(place.folder, file))]
    return Status(
        name=dataset.name,
        title=dataset.title,
        state="present" if copy else "missing",
        folder=place.folder,
        bytes=sum(path.stat().st_size for path in paths),
        sources=tuple(source.label for source in dataset.sources),
        note=place.form.title if copy else f"{len(paths)} of {len(place.form.files)} files",
    )


def _checked(dataset: DataSet, root: Path) -> Status:
    copy = next(copies(dataset, root), None)
    row = _row(dataset, root, copy)
    if copy is None:
        return row
    try:
        copy.contents()
    except DataError as error:
        return replace(row, state="corrupt", note=str(error))
    return replace(row, state="verified")
