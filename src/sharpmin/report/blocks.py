"""What a page is made of: sections of prose, tables, figures and surfaces. Plain data; the template lays it out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sharpmin.spread import number


@dataclass(frozen=True)
class Numbers:
    """Rows that the page offers as CSV and JSON, unrounded.

    Attributes:
        key: of the file name.
        columns: their names.
        rows: strings, numbers, truth values or None.

    """

    key: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Table:
    """A table as shown, and the numbers behind it.

    Attributes:
        title: above it.
        columns: heads.
        rows: cells, written out.
        numbers: what can be downloaded.
        note: below it.

    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: Numbers
    note: str = ""


@dataclass(frozen=True)
class Key:
    """A line of a legend: what a look means."""

    label: str
    look: str
    mark: str | None = None
    line: bool = True


@dataclass(frozen=True)
class Figure:
    """Drawings that belong together, with one legend and one set of numbers.

    Attributes:
        title: above it.
        drawings: svg elements.
        legend: what the looks mean.
        caption: below it.
        numbers: what can be downloaded, and read in a table.
        narrow: whether the drawings are half as wide as usual.

    """

    title: str
    drawings: tuple[str, ...]
    legend: tuple[Key, ...]
    caption: str
    numbers: Numbers
    narrow: bool = False


@dataclass(frozen=True)
class Surface:
    """A surface over a grid, which the reader turns.

    Attributes:
        title: above it.
        describes: what a reader who does not see it is told.
        shape: what the page's script draws: xs, ys, heights (None where not finite), points, names of the axes.
        colours: from low to high.

    """

    title: str
    describes: str
    shape: dict[str, Any]
    colours: tuple[str, ...]


@dataclass(frozen=True)
class Picture:
    """A drawing that was made elsewhere, and the numbers behind it.

    Attributes:
        title: above it.
        source: the image as a data: address.
        caption: below it.
        numbers: what can be downloaded, and read in a table.

    """

    title: str
    source: str
    caption: str
    numbers: Numbers


Block = Table | Figure | Picture | Surface


@dataclass(frozen=True)
class Section:
    """A tab of the page.

    Attributes:
        key: of its address.
        title: of the tab.
        lead: what the reader sees here, in a sentence or two.
        blocks: in order.

    """

    key: str
    title: str
    lead: str
    blocks: tuple[Block, ...] = field(default=())

    @property
    def numbers(self) -> tuple[Numbers, ...]:
        """All that can be downloaded."""
        return tuple(block.numbers for block in self.blocks if not isinstance(block, Surface))


def table(title: str, numbers: Numbers, *, heads: Sequence[str] | None = None, note: str = "") -> Table:
    """Show numbers as they are, rounded to four digits."""
    rows = tuple(tuple(map(shown, row)) for row in numbers.rows)
    return Table(title, tuple(heads or numbers.columns), rows, numbers, note)


def shown(value: Any) -> str:
    """A value as a table has it.

    Example:
        >>> [shown(value) for value in (True, None, 0.5, "batch", 3)]
        ['yes', '', '0.5', 'batch', '3']

    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or isinstance(value, int | float):
        return number(value)
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def rows_of(found: Iterable[dict[str, Any]], columns: Sequence[str]) -> tuple[tuple[Any, ...], ...]:
    """Records as rows with these columns."""
    return tuple(tuple(record.get(column) for column in columns) for record in found)
