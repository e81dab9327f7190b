"""`sharpmin train --remedy`: what reaches the training, and every way to ask for something else."""

import inspect
import json
import re
from dataclasses import fields

import pytest

from sharpmin import runtime
from sharpmin.cli import run
from sharpmin.cli.remedies import OPTIONS, Remedies, chosen
from sharpmin.remedies import SAM, Augmentation, Robust
from sharpmin.train_config import REMEDIES

JOB = "train -n F1 --data synthetic --train-size 64 --batch-size 32 --epochs 1 --threads 1 --quiet"


@pytest.fixture(autouse=True)
def untuned(monkeypatch):
    """Leave this process's threads and allocator alone."""
    monkeypatch.setattr(runtime, "tune", lambda *, threads=None: runtime.Tuned(threads or 1, "left alone: a test"))
    monkeypatch.delenv("SHARPMIN_TRACEBACK", raising=False)


def test_what_is_asked_for_is_in_the_settings_of_the_run(tmp_path, capsys):
    asked = "--remedy augmentation sam growing-batch --rho 0.1 --no-flip --first-batch 8 --growth-every 1"
    assert run([*JOB.split(), *asked.split(), "--out", str(tmp_path)]) == 0
    (file,) = tmp_path.glob("runs/*/settings.json")
    config = json.loads(file.read_text())["config"]
    assert config["sam"] == {"rho": 0.1}
    assert config["augmentation"] == {"flip": False, "rotation": 10.0, "shift": 0.2}
    assert config["growing_batch"] == {"start": 8, "factor": 5.0, "every": 1}
    assert "robust" not in config


def test_a_class_by_name_is_the_optimizer(tmp_path, capsys):
    asked = "--optimizer torch.optim:NAdam --learning-rate 0.002 --monitor --monitor-share 1 --measures loss"
    assert run([*JOB.split(), *asked.split(), "--monitor-every", "1", "--out", str(tmp_path)]) == 0
    assert "3 of the 3 rows due" in capsys.readouterr().out


def test_the_rows_due_are_counted_by_the_growing_batch(tmp_path, capsys):
    asked = "--remedy growing-batch --first-batch 8 --monitor --monitor-every 2 --monitor-share 1 --measures loss"
    assert run([*JOB.split(), *asked.split(), "--out", str(tmp_path)]) == 0
    assert "5 of the 5 rows due" in capsys.readouterr().out


def test_every_number_of_a_remedy_has_an_option_and_the_help_its_default():
    assert {name.replace("-", "_") for name in OPTIONS} == REMEDIES.keys()
    for name, numbers in OPTIONS.items():
        known = {f.name: f.default for f in fields(REMEDIES[name.replace("-", "_")])}
        assert sorted(numbers.values()) == sorted(known)
        for option, field in numbers.items():
            (said,) = re.findall(rf"^{option}\n    {name}: (.*)", inspect.getdoc(Remedies), re.MULTILINE)
            spelt = {"epsilon": "8/255", "flip": "yes"}.get(field, f"{known[field]:g}")
            assert re.search(rf"\b{spelt} by default", said), said
    assert (Robust().epsilon, Robust().clean, Augmentation().flip) == (8 / 255, 0.5, True)


def test_without_options_there_are_none():
    assert chosen(None) == chosen(Remedies()) == {}
    assert chosen(Remedies(remedy=["sam", "augmentation"], shift=0.1)) == {
        "sam": SAM(),
        "augmentation": Augmentation(shift=0.1),
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--remedy prayer", "prayer"),
        ("--rho 0.1", "--rho is of a remedy: give --remedy sam too"),
        ("--remedy sam --ghost-batch 16", "--ghost-batch is of a remedy: give --remedy ghost-batch-norm too"),
        ("--remedy sam --rho 0", "rho 0: the distance uphill must be above 0"),
        ("--remedy growing-batch", "first batch 256: a growing batch starts below the batch size 32"),
        ("--remedy growing-batch warm-up --first-batch 8", "choose one of them"),
        ("--optimizer torch.optim:NAdam", "optimizer torch.optim:NAdam: give its learning rate too"),
        ("--optimizer torch.optim:Lion --learning-rate 1", "torch.optim has no function 'Lion'"),
        ("--optimizer lion --learning-rate 1", "unknown optimizer 'lion'"),
    ],
)
def test_a_request_that_cannot_be_understood(arguments, says, tmp_path, capsys):
    assert run([*JOB.split(), *arguments.split(), "--out", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert said.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
