"""`sharpmin doctor` prints a row for everything, and its caution."""

import json

from sharpmin.cli import run
from sharpmin.doctor.contest import Contest
from sharpmin.machine import Usage


def test_a_row_for_everything(capsys, tmp_path, monkeypatch):
    seconds = {name: [2.0] * 3 for name in ("channels first", "half the threads", "default allocator")}
    measured = Contest(256, {"sharpmin": [1.0, 1.0, 1.0], "bfloat16": [0.5, 0.5, 0.5], **seconds})
    monkeypatch.setattr("sharpmin.doctor.rows.contest", lambda *_, **__: measured)
    monkeypatch.setattr("sharpmin.machine.Watch.usage", lambda _: Usage(10.0, 1.0, 1.5))
    monkeypatch.setattr("sharpmin.runtime.available_processors", lambda: 2)
    out = tmp_path / "doctor.json"
    assert run(["doctor", "--quiet", "--json", str(out)]) == 0
    said = capsys.readouterr().out
    names = ["threads", "allocator", "memory format", "bfloat16", "memory", "PyTorch", "data", "GPU"]
    assert all(name in said for name in names)
    assert "train with --precision bfloat16: 2.00x as fast (2.00 to 2.00, n = 3) in training C1 at batch 256" in said
    assert "Other processes used 1.5 of 2 processors meanwhile" in said
    found = json.loads(out.read_text())
    assert [row["name"] for row in found["rows"]] == names
    assert found["contest"]["seconds"]["bfloat16"] == [0.5, 0.5, 0.5]
    assert found["environment"]["torch"]


def test_no_rounds_are_refused(capsys):
    assert run(["doctor", "--rounds", "0"]) == 2
    assert "measure at least 1" in capsys.readouterr().err
