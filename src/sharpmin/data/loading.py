"""The one call that turns a data set's name into tensors, and the one that only brings the files."""

import warnings
from collections.abc import Iterable
from pathlib import Path

from sharpmin.data.cache import Copy, copies, data_folder, is_offline, own_copy, users_copies
from sharpmin.data.catalogue import find
from sharpmin.data.dataset import DataSet, Form
from sharpmin.data.examples import Split
from sharpmin.data.fetching import bring
from sharpmin.data.kaldi import read_kaldi
from sharpmin.data.speech import read_speech
from sharpmin.data.synthetic import synthetic
from sharpmin.data.verified import CorruptFile
from sharpmin.errors import DataError, UsageError
from sharpmin.progress import Progress, silent


def load(
    name: str,
    *,
    path: str | Path | None = None,
    cache: str | Path | None = None,
    offline: bool | None = None,
    progress: Progress = silent,
) -> Split:
    """Return a data set by name, fetched on first use.

    `path` is the user's own: a folder in torchvision's layout (or one that holds the files themselves), which
    is only read; for "speech" the .npz, or a folder of Kaldi's archives. `cache` and `offline` default to the
    environment's SHARPMIN_DATA and SHARPMIN_OFFLINE.
    """
    if name == "synthetic":
        return synthetic()
    if name == "speech":
        return _read_speech(path)
    dataset = find(name)
    if path is not None:
        return read_own(dataset, Path(path).expanduser())
    return read_cached(dataset, data_folder(cache), offline=is_offline(offline), progress=progress)


def fetch(
    name: str,
    *,
    cache: str | Path | None = None,
    offline: bool | None = None,
    progress: Progress = silent,
) -> Path:
    """Bring a data set's files into the cache where they are not there yet; return their folder."""
    dataset = find(name)
    root = data_folder(cache)
    if sound := _first_sound(copies(dataset, root)):
        return sound[0].folder
    copy = own_copy(dataset, root)
    bring(dataset, copy, offline=is_offline(offline), progress=progress)
    return copy.folder


def read_own(dataset: DataSet, root: Path) -> Split:
    """Read a set out of the user's folder, changing nothing there."""
    copy = next(users_copies(dataset, root), None)
    if copy is None:
        raise DataError(f"{root} holds no complete {dataset.title}: {dataset.advice} there")
    return _split(dataset, copy.form, copy.contents())


def read_cached(dataset: DataSet, root: Path, *, offline: bool, progress: Progress) -> Split:
    """Read a set out of a data folder, fetching it first where no sound copy is there."""
    if sound := _first_sound(copies(dataset, root)):
        copy, contents = sound
        return _split(dataset, copy.form, contents)
    copy = own_copy(dataset, root)
    bring(dataset, copy, offline=offline, progress=progress)
    return _split(dataset, copy.form, copy.contents())


def _read_speech(path: str | Path | None) -> Split:
    """Speech frames from a file or a folder of the user's."""
    if path is None:
        raise UsageError("speech frames come from you: give path=, an .npz or a Kaldi folder (see docs/data.md)")
    place = Path(path).expanduser()
    return read_kaldi(place) if place.is_dir() else read_speech(place)


def _first_sound(found: Iterable[Copy]) -> tuple[Copy, dict[str, bytes]] | None:
    """Return the first copy whose files all verify, with their contents; warn of the others."""
    for copy in found:
        try:
            return copy, copy.contents()
        except CorruptFile as error:
            warnings.warn(str(error), stacklevel=4)
    return None


def _split(dataset: DataSet, form: Form, contents: dict[str, bytes]) -> Split:
    train, test = form.read(contents)
    return Split(
        name=dataset.name,
        train=train,
        test=test,
        classes=dataset.classes,
        synthetic=False,
        source=f"{form.title}, each file's MD5 as published",
    )
