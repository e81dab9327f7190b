"""docs/results.md says what the committed records say."""

import importlib.util
import json
import re
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CELL = re.compile(
    r"^\| (?P<network>\w\d) \| (?P<regime>SB|LB) \| (?P<ours>[^|]+) \|.*\(\.\./(?P<record>records/[^)]+)\)"
)
FIRST = {2: ("train accuracy", None), 3: ("sharpness", 1e-3), 4: ("sharpness", 1e-3)}


@pytest.fixture(scope="module")
def page():
    return (ROOT / "docs" / "results.md").read_text()


def test_the_page_is_what_its_script_writes(page):
    spec = importlib.util.spec_from_file_location("results", ROOT / "docs" / "results.py")
    results = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(results)
    assert page == results.page(), "run: python docs/results.py"
    assert not re.search(r"\{\w+\}", page)


@pytest.mark.parametrize("number", FIRST)
def test_its_entries_are_the_means_of_the_trials_in_the_linked_record(page, number):
    section = page.split(f"## Table {number}:")[1].split("\n## ")[0]
    quantity, epsilon = FIRST[number]
    found = [match for line in section.splitlines() if (match := CELL.match(line))]
    assert found
    for match in found:
        rows = json.loads((ROOT / match["record"] / "rows.json").read_text())
        wanted = {"table": number, "quantity": quantity, "epsilon": epsilon, "regime": match["regime"]}
        (values,) = [row["values"] for row in rows if wanted.items() <= row.items()]
        spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        assert match["ours"] == f"{statistics.fmean(values):.2f}{spread}"


def test_a_network_without_a_record_has_no_number(page):
    recorded = {match["network"] for line in page.splitlines() if (match := CELL.match(line))}
    for line in page.splitlines():
        row = re.match(r"\| (?P<network>\w\d) \| (?:SB|LB) \|", line)
        assert row is None or row["network"] in recorded or "no run yet" in line
