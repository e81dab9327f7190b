"""The table of remedies: a row for each training and trial, shown as mean and standard deviation over the trials."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sharpmin.disk import write, write_json
from sharpmin.paper.provenance import Provenance
from sharpmin.spread import Spread, percent


@dataclass(frozen=True)
class RemedyRow:
    """A training and what it led to.

    Attributes:
        training: what the table calls it.
        seed: of the trial.
        config: of the training, as the run folder has it.
        loss: f at the solution, the mean over the training set.
        train_accuracy: of the solution, a fraction.
        test_accuracy: likewise.
        sharpness: Metric 2.1 at the solution, in percent.
        seconds: of the training alone, on the machine it ran on.

    """

    training: str
    seed: int
    config: dict[str, Any]
    loss: float
    train_accuracy: float | None
    test_accuracy: float | None
    sharpness: float
    seconds: float


@dataclass(frozen=True)
class RemedyTable:
    """The numbers of the table.

    Attributes:
        provenance: what they were made from.
        rows: one for each training and trial.

    """

    provenance: Provenance
    rows: tuple[RemedyRow, ...]


COLUMNS = ("training", "test accuracy (%)", "train accuracy (%)", "sharpness")


def lines(table: RemedyTable) -> list[tuple[str, ...]]:
    """The table's entries, a line for each training: mean and sample standard deviation over the trials."""
    shown: list[tuple[str, ...]] = []
    for name in dict.fromkeys(row.training for row in table.rows):
        rows = [row for row in table.rows if row.training == name]
        columns = zip(*((percent(r.test_accuracy), percent(r.train_accuracy), r.sharpness) for r in rows), strict=True)
        shown.append((name, *(Spread(values).fixed() for values in columns)))
    return shown


def markdown(table: RemedyTable) -> str:
    """The table as Markdown, below what it was made from."""
    rows = [COLUMNS, tuple("---" for _ in COLUMNS), *lines(table)]
    body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([table.provenance.title, "", table.provenance.note, "", *body, ""])


def save(table: RemedyTable, stem: Path) -> None:
    """Write every number as JSON (NaN and Infinity as Python spells them), and the table as Markdown beside it."""
    write_json(stem.with_name(f"{stem.name}.json"), {"table": "remedies", **asdict(table)})
    write(stem.with_name(f"{stem.name}.md"), markdown(table).encode())
