"""A result as a row of a run folder: a line of JSON, without long vectors."""

from dataclasses import fields
from typing import Any

BIG = ("displacement", "eigenvectors")  # vectors of n numbers, kept out of the rows


def row(point: str, result: Any, environment: dict[str, Any]) -> dict[str, Any]:
    """A result (a dataclass) with the point it was found at and on what it was computed."""
    values = {field.name: getattr(result, field.name) for field in fields(result) if field.name not in BIG}
    plain = {name: value.tolist() if hasattr(value, "tolist") else value for name, value in values.items()}
    return {"minimizer": point, **plain, "environment": environment}


def as_file(point: str) -> str:
    """A point's name as part of a file's."""
    return "".join(letter if letter.isalnum() else "-" for letter in point)
