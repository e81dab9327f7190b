"""The folder that data sets are kept in, and what is found there.

A data folder is laid out so: our own copies in one folder a set (`mnist/`, `cifar10/`), and, where the user
has pointed us at a folder of theirs, torchvision's layout beside them. Only our own copies are ever written
or removed.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from sharpmin.data.dataset import DataSet, File, Form
from sharpmin.data.verified import CorruptFile, path_of, read_verified

FOLDER_VARIABLE = "SHARPMIN_DATA"
OFFLINE_VARIABLE = "SHARPMIN_OFFLINE"


def data_folder(cache: str | Path | None = None) -> Path:
    """Return the folder asked for, else the environment's, else the platform's cache folder for sharpmin."""
    chosen = cache or os.environ.get(FOLDER_VARIABLE)
    return Path(chosen).expanduser().absolute() if chosen else platformdirs.user_cache_path("sharpmin")


def is_offline(offline: bool | None = None) -> bool:
    """Return the argument, else whether the environment says so (anything but empty or 0)."""
    return os.environ.get(OFFLINE_VARIABLE, "0") not in ("", "0") if offline is None else offline


@dataclass(frozen=True)
class Copy:
    """The files of a set in some form and folder; `own` where they are the cache's to write and remove."""

    folder: Path
    form: Form
    own: bool

    def complete(self) -> bool:
        """Whether every file is there, whatever is in it."""
        return all(path_of(self.folder, file) for file in self.form.files)

    def contents(self) -> dict[str, bytes]:
        """Read every file, verified."""
        return {file.name: self.read(file) for file in self.form.files}

    def read(self, file: File) -> bytes:
        """Read one file, verified; a corrupt one of our own is removed before CorruptFile is raised."""
        try:
            return read_verified(self.folder, file)
        except CorruptFile as error:
            if self.own:
                error.remove()
            raise


def own_copy(dataset: DataSet, root: Path) -> Copy:
    """Return the place in a data folder where we keep a set, whether or not it is there."""
    return Copy(root / dataset.name, dataset.forms[0], own=True)


def users_copies(dataset: DataSet, root: Path) -> Iterator[Copy]:
    """Yield the complete copies that a user has in a folder, laid out by us or by others; all read only."""
    folders = [(dataset.name, dataset.forms[0])]
    folders += [(folder, form) for form in dataset.forms for folder in form.folders]
    for folder, form in folders:
        if (copy := Copy(root / folder, form, own=False)).complete():
            yield copy


def copies(dataset: DataSet, root: Path) -> Iterator[Copy]:
    """Yield the complete copies in the cache: our own first, then what a user has laid beside it."""
    own = own_copy(dataset, root)
    if own.complete():
        yield own
    yield from (copy for copy in users_copies(dataset, root) if copy.folder != own.folder)
