"""The grids that the path of a pair is evaluated on: a file each in its run folder, a row a point.

line-25-5000.jsonl                  the path, points from -1 to 2, evaluation batch
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

FILE = re.compile(r"(line|arc)-(\d+)-(\d+)\.jsonl")
ALPHAS = {"SB": 0.0, "LB": 1.0}
"""Where on the path the minimizers are."""


class Grid(NamedTuple):
    """See the module.

    Example:
        >>> Grid("arc", 25, 5000).file
        'arc-25-5000.jsonl'

    """

    path: str
    points: int
    batch: int

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.path}-{self.points}-{self.batch}.jsonl"


def grids(folder: Path) -> list[Grid]:
    """Those of a run folder, in the order of their names."""
    found = (FILE.fullmatch(name) for name in sorted(file.name for file in folder.glob("*.jsonl")))
    return [Grid(one[1], int(one[2]), int(one[3])) for one in found if one]


def have_minimizers(rows: Iterable[Mapping[str, Any]]) -> bool:
    """Whether both minimizers are among the points evaluated."""
    return {*ALPHAS.values()} <= {row["alpha"] for row in rows}
