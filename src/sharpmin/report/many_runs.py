"""A figure or table of many runs as its verb left it: the picture or the means, and the rows to be read and saved."""

import base64
from dataclasses import fields
from pathlib import Path

from sharpmin.data.record import titled
from sharpmin.disk import read_json, readable
from sharpmin.errors import RunError
from sharpmin.history import epochs_in_words
from sharpmin.paper.provenance import Provenance
from sharpmin.paper.remedy_table import COLUMNS, RemedyRow, RemedyTable, lines
from sharpmin.report.blocks import Numbers, Picture, Table
from sharpmin.report.story import Row


def many_runs(file: Path) -> Picture | Table:
    """What a page shows of the file.

    Args:
        file: with "figure" or "table", "rows" and their "provenance", as `sharpmin paper` saves them.

    Raises:
        RunError: it, or the picture beside it, cannot be read, or it is another file.

    """
    raw = read_json(file)
    with readable(file):
        return remedies(raw) if "table" in raw else picture(raw, file.with_suffix(".png"))


def picture(raw: Row, file: Path) -> Picture:
    """A figure's picture."""
    try:
        drawn = base64.b64encode(file.read_bytes()).decode()
    except OSError as error:
        raise RunError(f"{file} cannot be read: {error.strerror or error}") from error
    columns = tuple(raw["rows"][0])
    numbers = Numbers(raw["figure"], columns, tuple(tuple(row[name] for name in columns) for row in raw["rows"]))
    return Picture(raw["figure"].replace("-", " "), f"data:image/png;base64,{drawn}", made_from(raw), numbers)


def remedies(raw: Row) -> Table:
    """The table of remedies, means and deviations over its trials."""
    found = RemedyTable(Provenance.read(raw["provenance"]), tuple(RemedyRow(**row) for row in raw["rows"]))
    columns = tuple(field.name for field in fields(RemedyRow) if field.name != "config")
    numbers = Numbers("remedies", columns, tuple(tuple(row[name] for name in columns) for row in raw["rows"]))
    title = "Mean ± standard deviation over trials"
    return Table(title, COLUMNS, tuple(lines(found)), numbers, made_from(raw))


def made_from(raw: Row) -> str:
    """On what, by how many trials and which command."""
    made = raw["provenance"]
    return f"{titled(made['data'])}, {epochs_in_words(made['epochs'])}, n = {len(made['seeds'])}. By {made['command']}"
