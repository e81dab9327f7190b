"""The page of the whole paper: in its order, the published numbers beside, and what failed or was left out told."""

import io
import json
import re

import pytest
from PIL import Image

from report.made import runs
from report.test_page import data, outline
from sharpmin.paper.contents import CONTENTS
from sharpmin.paper.provenance import Provenance
from sharpmin.paper.remedy_table import RemedyRow, RemedyTable, save
from sharpmin.report.entries import OF_RUNS, Part
from sharpmin.report.reproduction import page

ROWS = [{"batch_size": size, "seed": 0, "test_accuracy": 0.98, "sharpness": 1.5 * size} for size in (64, 128)]
PROVENANCE = {
    "data": {"name": "mnist", "synthetic": False},
    "epochs": 3,
    "seeds": [0],
    "command": "sharpmin paper batch-sizes -n F1",
    "scaled": "",
}


def figure(folder):
    """The files of a figure of many runs."""
    file = folder / "F1-batch-sizes.json"
    file.write_text(json.dumps({"figure": "batch-sizes", "provenance": PROVENANCE, "rows": ROWS}))
    image = io.BytesIO()
    Image.new("RGB", (40, 30), "white").save(image, "PNG")
    file.with_suffix(".png").write_bytes(image.getvalue())
    return file


def remedies(folder):
    """The file of the table of remedies: two trials of one training."""
    accuracies = ((0.9, 0.97), (0.8, 0.99))
    rows = [
        RemedyRow("large batch, sam", seed, {"batch_size": 6000}, 0.1, fit, test, 3.0 + seed, 1.0)
        for seed, (test, fit) in enumerate(accuracies)
    ]
    save(
        RemedyTable(Provenance(**PROVENANCE, network="F1", epsilons=(1e-3,), environments=(), runs=()), tuple(rows)),
        folder,
    )
    return folder.with_name(f"{folder.name}.json")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    return [
        Part(tuple(OF_RUNS), "F1", tuple(runs(folder)), scaled="scaled down: 3 of 20 epochs"),
        Part(("Figure 4",), "F1", figure=figure(folder)),
        Part(("Appendix E",), "F1", figure=remedies(folder / "F1-remedies")),
        Part(("Figure 5",), "F1", problem="1 of 2 runs failed <here>"),
    ]


@pytest.fixture(scope="module")
def text(parts):
    return page(parts, [("F2", "no frames")], command="sharpmin paper all")


def chapters(text):
    """The text of each entry."""
    found = re.split(r'<h2 id="of-([\w-]+)">', text)
    return dict(zip(found[1::2], found[2::2], strict=True))


def test_it_is_whole_and_asks_for_nothing(text):
    parsed = outline(text)
    assert len(set(parsed.ids)) == len(parsed.ids)
    assert not [value for _, name, value in parsed.attributes if name in ("src", "href") and value[0] not in "#d"]
    targets = {value[1:] for _, name, value in parsed.attributes if name == "href" and value.startswith("#")}
    assert targets <= set(parsed.ids)


def test_entries_are_in_the_paper_s_order(text):
    names = [re.sub(r"\W+", "-", entry.name.lower()) for entry in CONTENTS]
    assert list(chapters(text)) == names
    assert names[:2] == ["table-1", "table-2"]


def test_what_is_there_stands_beside_the_published(text):
    found = chapters(text)
    assert "98.03 ± 0.07" in found["table-2"].replace("\N{NO-BREAK SPACE}", " ")
    assert "205.14 ± 69.52" in found["table-3"].replace("\N{NO-BREAK SPACE}", " ")
    assert re.search(r"F1 on MNIST, 4 trials \([^)]+\); scaled down: 3 of 20 epochs", found["table-2"])
    assert "near 15,000 for F2 and 500 for C1" in found["figure-4"]
    assert 'src="data:image/png;base64,' in found["figure-4"]
    assert "MNIST, 3 epochs, n = 1. By sharpmin paper batch-sizes -n F1" in found["figure-4"]


def test_the_remedies_are_a_table_of_means(text):
    found = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", chapters(text)["appendix-e"]))
    assert "large batch, sam 85.00 ± 7.07 98.00 ± 1.41 3.50 ± 0.71" in found.replace("\N{NO-BREAK SPACE}", " ")
    assert data(text)["F1-Appendix-E-remedies"]["rows"][1] == ["large batch, sam", 1, 0.1, 0.99, 0.8, 4.0, 1.0]


def test_what_is_not_there_is_told(text):
    found = chapters(text)
    assert "F1 failed: 1 of 2 runs failed &lt;here&gt;" in found["figure-5"]
    assert "F1 failed: nothing of it was measured in" in found["figure-7"]
    assert "Not made." in found["figure-6"]
    assert "<li>F2: no frames</li>" in text


def test_every_number_is_there_as_it_was_measured(text):
    numbers = data(text)
    assert numbers["F1-Figure-4-batch-sizes"] == {
        "columns": list(ROWS[0]),
        "rows": [list(row.values()) for row in ROWS],
    }
    assert {"networks", "data-sets", "performance", "F1-Table-3-sharpness"} <= numbers.keys()


def test_networks_of_their_own_names_may_share_a_page(parts):
    other = Part(("Table 2",), "C1", parts[0].runs)
    assert "C1-Table-2-accuracy" in data(page([*parts, other], [], command=""))


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(chromium, text, tmp_path, scheme):
    (tmp_path / "paper.html").write_text(text)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})
    phone = {"width": 375, "height": 700, "deviceScaleFactor": 2, "mobile": True}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    chromium.get((tmp_path / "paper.html").as_uri())
    script = "return [document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor]"
    assert chromium.execute_script(script) == [375, {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 24, 27)"}[scheme]]
    assert chromium.find_element("css selector", "img.picture").rect["width"] > 200
    assert [entry for entry in chromium.get_log("browser") if entry["level"] != "INFO"] == []
