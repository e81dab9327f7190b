"""A result as a row of a run folder: a line of JSON, without long vectors.

With what was asked for beside it, nothing is measured twice, whichever verb or sweep asks again.
"""

from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sharpmin.runs import Run

BIG = ("displacement", "eigenvectors")  # vectors of n numbers, kept out of the rows


def row(point: str, result: Any, environment: dict[str, Any]) -> dict[str, Any]:
    """A result (a dataclass) with the point it was found at and on what it was computed."""
    values = {field.name: getattr(result, field.name) for field in fields(result) if field.name not in BIG}
    plain = {name: value.tolist() if hasattr(value, "tolist") else value for name, value in values.items()}
    return {"minimizer": point, **plain, "environment": environment}


def keep(run: "Run", name: str, point: str, result: Any, *, asked: dict[str, Any], environment: dict[str, Any]) -> None:
    """Add a result to `name`.jsonl, with everything that was asked for."""
    run.add_line(f"{name}.jsonl", {**row(point, result, environment), "asked": asked})


def kept(run: "Run", name: str, point: str, asked: dict[str, Any]) -> dict[str, Any] | None:
    """The row of `name`.jsonl of an earlier measurement of the very same, or None."""
    same = {"minimizer": point, "asked": asked}
    return next(
        (line for line in run.read_lines(f"{name}.jsonl", ("minimizer",)) if same.items() <= line.items()), None
    )


def as_file(point: str) -> str:
    """A point's name as part of a file's."""
    return "".join(letter if letter.isalnum() else "-" for letter in point)
