"""The words in which the catalogue describes a data set: files, forms, sources.

A data set may lie on disk in several *forms* (CIFAR-10 as binary records, or as the batches torchvision
unpacks). The first form is the one the cache keeps; the others are read where a user already has them.
A *source* is one place that the first form's files can be had from.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sharpmin.data.examples import Examples
from sharpmin.progress import Progress


@dataclass(frozen=True)
class File:
    """A file and the MD5 sum that its authors' copy has, uncompressed.

    `size` in bytes is what the cache needs for it; 0 for files that the cache reads but never keeps.
    """

    name: str
    md5: str
    size: int = 0


@dataclass(frozen=True)
class Form:
    """One way a data set lies on disk.

    `folders` are the places, relative to a data folder, where people have it: torchvision's first, then "."
    for a path that points at the files themselves. `read` turns verified contents, by file name, into the
    training and the test examples.
    """

    title: str
    folders: tuple[str, ...]
    files: tuple[File, ...]
    read: Callable[[dict[str, bytes]], tuple[Examples, Examples]]


Bring = Callable[[Sequence[File], Path, Progress], Iterator[tuple[File, bytes]]]
"""Yields the contents of the wanted files, unverified; may keep what it likes in the folder it is given."""


@dataclass(frozen=True)
class Source:
    """Somewhere the files can be had from. `local` ones are also asked when offline."""

    label: str
    bring: Bring
    local: bool = False


@dataclass(frozen=True)
class DataSet:
    """A named data set; `advice` tells someone whom every source failed what to put where."""

    name: str
    title: str
    classes: int
    forms: tuple[Form, ...]
    sources: tuple[Source, ...]
    advice: str
