"""`sharpmin paper remedies` in small: its numbers beside trainings and evaluations of their own."""

import json
import re

import pytest
import torch

from sharpmin import Objective, data, zoo
from sharpmin.cli import run
from sharpmin.data import synthetic
from sharpmin.paper import inputs, remedies
from sharpmin.remedies import SAM
from sharpmin.sweep import plan
from sharpmin.train_config import TrainConfig
from sharpmin.training import train

SPLIT = synthetic(train=50, test=20, shape=(1, 4, 4), classes=3)
COMMAND = "paper remedies -n F1 --data synthetic --budget images=40,epochs=1,trials=1 --threads 1 --quiet"


@pytest.fixture(autouse=True)
def small(in_process, monkeypatch):
    """Fifty images of 4 x 4, and one iteration of L-BFGS-B."""
    for module in (inputs, plan):
        monkeypatch.setattr(module, "whole", lambda *_, **__: SPLIT)
    whole = remedies.metric_2_1
    monkeypatch.setattr(remedies, "metric_2_1", lambda *, epsilon: shortened(whole(epsilon=epsilon)))
    monkeypatch.delenv("SHARPMIN_TRACEBACK", raising=False)


def shortened(measure):
    return type(measure)(measure.func, **{**measure.keywords, "iterations": 1})


def trained(config):
    """A training that knows nothing of run folders: accuracy on both sets in plain PyTorch, and the measure."""
    part = data.subset(SPLIT.train, 40, seed=0, classes=3)
    model = zoo.build("F1", seed=0, shape=(1, 4, 4), classes=3)
    train(model, part, config)
    with torch.no_grad():
        hits = [(model(p.inputs).argmax(1) == p.targets).double().mean().item() for p in (SPLIT.test, part)]
    return *hits, remedies.metric_2_1(epsilon=1e-3)(Objective(model, part, batch_norm="batch")).value


def test_the_table_has_the_numbers_of_its_trainings(tmp_path, capsys):
    assert run([*COMMAND.split(), "--remedies", "sam", "--out", str(tmp_path)]) == 0
    kept = json.loads((tmp_path / "Figures" / "F1-remedies.json").read_text())
    rows = {row["training"]: row for row in kept["rows"]}
    assert list(rows) == ["small batch", "large batch", "large batch, sam"]
    for name, config in {
        "small batch": TrainConfig(batch_size=2, epochs=1),
        "large batch, sam": TrainConfig(batch_size=4, epochs=1, sam=SAM()),
    }.items():
        test, fit, sharpness = trained(config)
        assert rows[name]["config"] == config.settings()
        assert (rows[name]["test_accuracy"], rows[name]["train_accuracy"]) == pytest.approx((test, fit))
        assert rows[name]["sharpness"] == pytest.approx(sharpness, rel=1e-9)
    shown, table = capsys.readouterr().out, (tmp_path / "Figures" / "F1-remedies.md").read_text()
    scaled = "scaled down: 40 of 50 images, 1 of 20 epochs, 1 of 5 trials"
    assert scaled in shown
    assert table.index(scaled) < table.index("| training | test accuracy (%)")
    row = rows["large batch, sam"]
    cells = [f"{100 * row['test_accuracy']:.2f}", f"{100 * row['train_accuracy']:.2f}", f"{row['sharpness']:.2f}"]
    assert f"| large batch, sam | {' | '.join(cells)} |" in table
    assert re.search(r"large batch, sam +" + " +".join(map(re.escape, cells)), shown)


@pytest.mark.parametrize(
    ("options", "says"), [("--remedies prayer", "prayer"), ("--epochs 0", "--epochs 0: give at least 1")]
)
def test_a_request_that_cannot_be_understood(options, says, tmp_path, capsys):
    assert run([*COMMAND.split(), *options.split(), "--out", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert not list(tmp_path.iterdir())
