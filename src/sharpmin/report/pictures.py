"""A figure of many runs as its verb left it: the picture, and the rows of its JSON to be read and saved."""

import base64
from pathlib import Path

from sharpmin.errors import RunError
from sharpmin.paper.inputs import titled
from sharpmin.report.blocks import Numbers, Picture
from sharpmin.runs import read_json, readable


def picture(file: Path) -> Picture:
    """The .png beside a figure's JSON, and its numbers.

    Args:
        file: with "figure", "rows" and, of what they were made, "provenance", as `sharpmin paper` saves them.

    Raises:
        RunError: one of the two cannot be read, or the JSON is another file's.

    """
    raw = read_json(file)
    with readable(file):
        made, rows = raw["provenance"], raw["rows"]
        columns = tuple(rows[0])
        numbers = Numbers(raw["figure"], columns, tuple(tuple(row[name] for name in columns) for row in rows))
        caption = f"{titled(made['data'])}, {made['epochs']} epochs, n = {len(made['seeds'])}. By {made['command']}"
    try:
        drawn = base64.b64encode(file.with_suffix(".png").read_bytes()).decode()
    except OSError as error:
        raise RunError(f"{file.with_suffix('.png')} cannot be read: {error.strerror or error}") from error
    return Picture(raw["figure"].replace("-", " "), f"data:image/png;base64,{drawn}", caption, numbers)
