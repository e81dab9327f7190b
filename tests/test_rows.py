"""A row is found again by what was asked for, and by nothing less."""

from dataclasses import dataclass

import pytest

from sharpmin.disk import write_json
from sharpmin.errors import RunError
from sharpmin.rows import keep, kept
from sharpmin.runs import Run


@dataclass(frozen=True)
class Found:
    value: float
    displacement: tuple[float, ...] = (1.0, 2.0)


def test_what_was_measured_is_found_by_the_very_same_request(tmp_path):
    write_json(tmp_path / "settings.json", {})
    run, asked = Run(tmp_path), {"epsilon": 1e-3, "only": None}
    keep(run, "sharpness", "SB", Found(1.5), asked=asked, environment={"threads": 1})
    assert kept(run, "sharpness", "SB", dict(reversed(asked.items()))) == {
        "minimizer": "SB",
        "value": 1.5,
        "environment": {"threads": 1},
        "asked": asked,
    }
    assert kept(run, "sharpness", "LB", asked) is None
    assert kept(run, "sharpness", "SB", {**asked, "only": ["0.*"]}) is None
    assert kept(run, "sharpness", "SB", {"epsilon": 1e-3}) is None
    assert kept(run, "trace", "SB", asked) is None


def test_a_row_of_nothing_is_named(tmp_path):
    Run(tmp_path).write_lines("sharpness.jsonl", [{"value": 1.0}])
    with pytest.raises(RunError, match="line 1 has no minimizer"):
        kept(Run(tmp_path), "sharpness", "SB", {})
