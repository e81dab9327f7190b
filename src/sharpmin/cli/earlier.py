"""A figure is not lost to another of the same name: F1.json of one seed to F1.json of the next."""

from pathlib import Path
from typing import Any


def keep_earlier(stem: Path, numbers: Any) -> None:
    """Rename a figure that is there with other numbers than these to STEM-1, or the next free name, and say so."""
    from sharpmin.runs import set_aside

    if (kept := set_aside(stem, numbers)) is not None:
        print(f"There was a figure with other numbers by this name: it is kept as {kept}.json")
