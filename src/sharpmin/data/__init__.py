"""Data sets: read, verified, fetched where need be, or made up.

`load(name)` is all that most people need. See docs/data.md for names, sources, folders and checksums.
"""

from sharpmin.data.catalogue import NAMES
from sharpmin.data.examples import Examples, Split
from sharpmin.data.inventory import Status, check, status
from sharpmin.data.loading import fetch, load
from sharpmin.data.subset import subset
from sharpmin.data.synthetic import synthetic

__all__ = ["NAMES", "Examples", "Split", "Status", "check", "fetch", "load", "status", "subset", "synthetic"]
