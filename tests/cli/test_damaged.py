"""A file of a run folder that is JSON but of another shape: one line that names it, from every verb that reads it."""

import json
import shutil

import pytest

from conftest import JOB
from sharpmin.cli import run

MEASURE = ["--data", "synthetic", "--threads", "1", "--quiet", "--epsilon", "1e-2", "--iterations", "1"]
VERBS = {
    "plot": lambda folder: [*JOB.split(), "--out", str(folder.parent.parent)],
    "tables": lambda folder: ["tables", str(folder)],
    "sharpness": lambda folder: ["sharpness", str(folder), *MEASURE],
    "report": lambda folder: ["report", str(folder), "-o", str(folder.parent / "report.html")],
    "training-curves": lambda folder: ["paper", "training-curves", str(folder)],
}


def renamed(file, key):
    """The rows with a key of another name."""
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return "\n".join(json.dumps({("a" if k == key else k): value for k, value in row.items()}) for row in rows)


@pytest.fixture
def folder(finished_run, tmp_path):
    copy = tmp_path / "runs" / finished_run.name
    shutil.copytree(finished_run, copy)
    return copy


@pytest.mark.parametrize(
    ("name", "content", "verbs", "says"),
    [
        ("line-4-5000.jsonl", "[]", ["plot", "tables", "report"], "line 1 is not an object"),
        ("line-4-5000.jsonl", None, ["plot", "tables", "report"], "line 1 has no alpha"),
        ("environment.json", "{}", ["plot", "report"], "it is not a list"),
        ("environment.json", "null", ["plot", "report"], "it is not a list"),
        ("environment.json", "[1]", ["plot", "report"], "entry 1 is not an object"),
        ("settings.json", "[]", ["tables", "sharpness", "training-curves"], "it is not an object"),
        ("settings.json", "{}", ["tables", "sharpness", "training-curves"], "it has no network"),
        (
            "settings.json",
            '{"network": "F1", "seed": 0, "train_size": 1, "data": []}',
            ["sharpness", "training-curves"],
            "data is not an object",
        ),
        ("sharpness.jsonl", "{}", ["sharpness", "tables", "report"], "line 1 has no"),
        ("sharpness.jsonl", "[1]", ["sharpness", "tables", "report"], "line 1 is not an object"),
    ],
)
def test_json_of_another_shape_is_named(folder, capsys, name, content, verbs, says):
    file = folder / name
    file.write_text(renamed(file, "alpha") if content is None else content)
    for verb in verbs:
        capsys.readouterr()
        assert run(VERBS[verb](folder)) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"sharpmin: cannot read {file}: {says}")
        assert said.count("\n") == 1


def test_an_earlier_row_without_its_evidence_is_named(folder, capsys):
    assert run(VERBS["sharpness"](folder)) == 0
    file = folder / "sharpness.jsonl"
    file.write_text(renamed(file, "value"))
    assert run(VERBS["sharpness"](folder)) == 1
    assert f"cannot read {file}: a row has no value" in capsys.readouterr().err
