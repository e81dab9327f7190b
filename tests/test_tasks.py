"""A task named on the command line: found, called, and every way it can be wrong."""

import sys

import pytest

from sharpmin.errors import TaskError, UsageError
from sharpmin.losses import classification
from sharpmin.tasks import Task, load_task

MAKING = """
import torch
from sharpmin.tasks import Task

model = torch.nn.Linear(4, 3)
data = [(torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64))]

def loss(model, batch): return model(batch[0]).sum(1)
def make(): return model, data
def with_loss(): return model, data, loss
def by_name(): return Task(model, data, calibration=data)
def nothing(): return None
def breaks(): return 1 / 0
number = 3
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    package = tmp_path / "mypkg"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "task.py").write_text(MAKING)
    (tmp_path / "plain.py").write_text("from beside import value\n" + MAKING)
    (tmp_path / "beside.py").write_text("value = 1")
    (tmp_path / "broken.py").write_text("import no_such_package")
    (tmp_path / "invalid.py").write_text("def make(:")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


@pytest.mark.parametrize("place", ["mypkg.task", "plain.py", "plain"])
def test_a_model_with_its_data_and_perhaps_a_loss(place):
    plain, given, named = (load_task(f"{place}:{name}") for name in ("make", "with_loss", "by_name"))
    assert plain.loss is classification
    assert given.loss is not classification
    assert isinstance(named, Task)
    assert named.calibration is named.data


def test_a_file_elsewhere(folder, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert isinstance(load_task(f"{folder}/plain.py:make"), Task)


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("mypkg.task", UsageError, "names no task"),
        ("mypkg.other:make", UsageError, "no module 'mypkg.other'"),
        ("nowhere:make", UsageError, "no module 'nowhere'"),
        ("nowhere.py:make", UsageError, "there is no file nowhere.py"),
        ("mypkg.task:mkae", UsageError, "has no function 'mkae'; it defines loss, make"),
        ("mypkg.task:number", UsageError, "has no function 'number'"),
        ("mypkg.task:nothing", UsageError, "returned NoneType, not a model with its data"),
        ("mypkg.task:breaks", TaskError, "failed with ZeroDivisionError"),
        ("broken:make", TaskError, "No module named 'no_such_package'"),
        ("invalid.py:make", TaskError, "failed with SyntaxError"),
    ],
)
def test_what_is_wrong_is_said(name, error, says):
    with pytest.raises(error, match=says):
        load_task(name)
