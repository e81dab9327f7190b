"""Figures on the disk: NAME.pdf, .png and .json; none is lost to another of its name, seed 0's F1 to seed 1's."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE = (".pdf", ".png", ".md", ".json")  # the numbers last: a kill between two renames is made good by the next
PASSING = frozenset(("environment", "environments", "seconds", "source"))  # may differ between figures of one content


def save(stem: Path, draw: "Callable[[], Figure]", numbers: Any = None) -> None:
    """Write the numbers of a figure, if there are any, then draw it as STEM.pdf and .png, and say so."""
    from sharpmin import plots
    from sharpmin.disk import write_json

    if numbers is not None:
        keep_earlier(stem, numbers)
        write_json(stem.with_name(f"{stem.name}.json"), numbers)
    plots.save(draw(), stem.with_name(f"{stem.name}.pdf"), stem.with_name(f"{stem.name}.png"))
    print(f"Plot saved as {stem}.pdf{' and .png' if numbers is None else ', .png and .json'}")


def keep_earlier(stem: Path, numbers: Any) -> None:
    """Rename a figure that is there with other numbers than these to STEM-1, or the next free name, and say so."""
    if (kept := set_aside(stem, numbers)) is not None:
        print(f"There was a figure with other numbers by this name: it is kept as {kept}.json")


def set_aside(stem: Path, numbers: Any) -> Path | None:
    """Rename the files of a figure whose numbers are others than these; give their new stem, if there were any."""
    from sharpmin.disk import alone, explained

    file, says = stem.with_name(f"{stem.name}.json"), numbers_in(json.dumps(numbers))
    with alone() as writes, explained(stem):
        if not file.exists() or (found := numbers_in(file.read_bytes())) == says:
            return None
        for count in itertools.count(1):
            kept = stem.with_name(f"{stem.name}-{count}")
            there = kept.with_name(f"{kept.name}.json")
            if not there.exists() or numbers_in(there.read_bytes()) == found:
                break
        for old in (stem.with_name(stem.name + suffix) for suffix in FIGURE) if writes else ():
            if old.exists():
                old.replace(kept.with_name(kept.name + old.suffix))
    return kept


def numbers_in(text: str | bytes) -> str | bytes:
    """The JSON of a figure without what is passing; what is no JSON, as it is."""
    try:
        return json.dumps(lasting(json.loads(text)), sort_keys=True)
    except ValueError:
        return text


def lasting(value: Any) -> Any:
    """The value without what is passing, at every depth."""
    if isinstance(value, dict):
        return {key: lasting(one) for key, one in value.items() if key not in PASSING}
    return [lasting(one) for one in value] if isinstance(value, list) else value
