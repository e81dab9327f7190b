"""A report: one HTML page, complete in itself, with the answer on its first screen and every number behind it.

Three steps that never mix: `gather` reads run folders and result files into a `Story`; each section is a function of
the story; the page lays the sections out. Nothing is computed but means, deviations and ratios.
"""

from collections.abc import Sequence
from pathlib import Path

from sharpmin.report.gathering import elsewhere, gather
from sharpmin.report.page import page
from sharpmin.report.story import Story

__all__ = ["Story", "elsewhere", "gather", "page", "write"]


def write(sources: Sequence[Path], file: Path) -> Story:
    """Write a report of these run folders and result files.

    Args:
        sources: run folders of one experiment, one for each seed, and files such as Figures/NAME.json.
        file: where to; it appears whole or not at all.

    Returns:
        What was read.

    Raises:
        UsageError: no sources, or runs that differ in more than their seed.
        RunError: something is not ours or is broken, or the file cannot be written.

    """
    from sharpmin.disk import write

    story = gather([Path(source) for source in sources])
    write(Path(file), page(story).encode())
    return story
