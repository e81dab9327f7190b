"""The page as text: complete in itself, all tabs there, every number in it as it was measured."""

import json
import math
import re
from html.parser import HTMLParser

import pytest

from report.conftest import of_two
from report.made import SHARP, append, point, run_folder, runs, sharpness
from sharpmin import report as reports
from sharpmin.report.page import embedded, page

VOID = {"meta", "link", "br", "img"}
TABS = [
    *("path", "sharpness", "accuracy", "spectrum", "noise"),
    *("planes", "connections", "monitor", "training", "settings"),
]


class Outline(HTMLParser):
    """Elements by nesting; an error where they do not close in order."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.attributes = [], [], []

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, *attribute) for attribute in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, *attribute) for attribute in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def outline(text):
    parsed = Outline()
    parsed.feed(text)
    assert parsed.open == []
    return parsed


def data(text, name="numbers"):
    element = rf'<script type="application/json" id="{name}">(.*?)</script>'
    return json.loads(re.search(element, text, re.DOTALL).group(1))


def tabs(text):
    return re.findall(r'<section class="tab" id="(\w+)"', text)


def column(numbers, name):
    return [row[numbers["columns"].index(name)] for row in numbers["rows"]]


def test_elements_close_and_ids_are_unique(report):
    parsed = outline(report.read_text())
    assert len(set(parsed.ids)) == len(parsed.ids)


def test_all_tabs_are_there_and_nothing_is_missing(report):
    text = report.read_text()
    assert tabs(text) == TABS
    assert "Not in this report" not in text


def test_nothing_is_fetched_from_anywhere(report):
    text = report.read_text()
    fetching = ("src", "href", "srcset", "action", "data", "poster")
    linked = [value for _, name, value in outline(text).attributes if name in fetching]
    assert [value for value in linked if not value.startswith(("#", "data:,"))] == []
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(", text)
    assert "default-src 'none'" in text


def test_the_paper_s_numbers_stand_only_beside_the_paper_s_settings(tmp_path):
    folder = run_folder(tmp_path)
    for name in ("SB", "LB"):
        row = sharpness(name, 7.0)
        append(folder / "sharpness.jsonl", {**row, "asked": {**row["asked"], "iterations": 1, "only": ["16.*"]}})
        append(folder / "sharpness.jsonl", sharpness(name, 8.0, batch_norm="running"))
    text = page(reports.gather([folder]))
    papers = {(row[0], row[1]): row[-2] for row in data(text)["sharpness"]["rows"]}
    assert papers == {
        ("Metric 2.1 (ε 0.001), batch norm batch", "SB"): 1.23,
        ("Metric 2.1 (ε 0.001), batch norm batch", "LB"): 205.14,
        ("Metric 2.1 (ε 0.001, 1 iteration, only 16.*)", "SB"): None,
        ("Metric 2.1 (ε 0.001, 1 iteration, only 16.*)", "LB"): None,
        ("Metric 2.1 (ε 0.001), batch norm running", "SB"): None,
        ("Metric 2.1 (ε 0.001), batch norm running", "LB"): None,
    }
    assert "only None" not in text


def test_it_is_small(report):
    assert report.stat().st_size < 500_000


def test_the_same_runs_give_the_same_bytes(report, tmp_path, measured):
    sources = [*runs(tmp_path, 2), *measured.glob("Figures/*.json")]
    assert page(reports.gather(sources)) == page(reports.gather(sources))


def test_the_numbers_are_those_measured(report, measured):
    numbers = data(report.read_text())
    assert column(numbers["sharpness-by-trial"], "value")[:8] == [*SHARP["SB"], *SHARP["LB"]]
    assert column(numbers["path"], "train_loss")[:4] == [0.5, 0.02, 0.01, 6.0]
    row = next(row for row in numbers["sharpness"]["rows"] if row[1] == "LB")
    assert row[2:4] == [4, 250.0]
    assert row[4] == pytest.approx(((150**2 + 40**2 + 40**2 + 150**2) / 3) ** 0.5)
    (file,) = measured.glob("Figures/a-b-c-plane.json")
    plane = json.loads(file.read_text())["plane"]
    (shown,) = [n for n in numbers.values() if n["columns"][:3] == ["alpha", "beta", "loss"] and len(n["rows"]) == 81]
    assert column(shown, "loss") == [loss for row in plane["losses"] for loss in row]


def test_a_surface_has_a_height_for_every_point(report):
    for shape in data(report.read_text(), "surfaces"):
        assert [len(row) for row in shape["heights"]] == [len(shape["alphas"])] * len(shape["betas"])
        heights = [height for row in shape["heights"] for height in row]
        assert (min(heights), max(heights)) == (0, 1)


def test_a_task_s_own_run(measured):
    text = page(reports.gather([of_two(measured)]))
    outline(text)
    assert "mytask.py:make" in text
    assert tabs(text) == ["sharpness", "accuracy", "spectrum", "noise", "settings"]
    assert "sharpmin compare, mytask.py:make: " in text
    assert "<code>sharpmin plane RUN</code>" in text


def test_figures_alone(measured):
    text = page(reports.gather([next(measured.glob("Figures/*-plane.json"))]))
    assert tabs(text) == ["planes", "settings"]


def test_a_run_with_nothing_measured_yet(tmp_path):
    folder = run_folder(tmp_path, sharp=None)
    for file in (*folder.glob("*.history.jsonl"), *folder.glob("*.safetensors"), *folder.glob("line-*")):
        file.unlink()
    text = page(reports.gather([folder]))
    assert "there is no verdict yet" in text
    assert "the training of SB is not finished" in text


def test_nan_is_shown_as_nan(tmp_path):
    folder = run_folder(tmp_path, sharp={"SB": (math.nan,), "LB": (math.inf,)})
    rows = [{**point(alpha), "train_loss": math.nan} for alpha in (-1.0, 0.0, 1.0, 2.0)]
    (folder / "line-4-5000.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = page(reports.gather([folder]))
    numbers = data(text)
    assert column(numbers["sharpness-searches"], "value") == ["NaN", "Infinity"]
    assert column(numbers["path"], "train_loss") == ["NaN"] * 4
    assert "NaN or infinity in 4 of 4 rows of the line" in text


def test_names_from_outside_cannot_become_elements(tmp_path):
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    data_set = {"name": hostile, "synthetic": False, "train": 1, "test": 1, "sha1": ""}
    text = page(reports.gather([run_folder(tmp_path, data=data_set)]))
    parsed = outline(text)
    assert not [name for _, name, _ in parsed.attributes if name == "onerror"]
    assert text.count("<script") == 3


def test_json_that_cannot_end_its_element():
    assert str(embedded(["</script>", math.inf])) == '["\\u003c/script>","Infinity"]'
