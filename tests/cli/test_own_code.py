"""A task of one's own that fails in the middle of a command: one line that says whose fault it is and the way out."""

import pytest

from sharpmin.cli import run
from sharpmin.errors import is_out_of_memory

HEAD = """
import torch
from torch import nn
from torch.nn import functional as F

x, y = torch.randn(9, 4), torch.randint(3, (9,))
net = lambda: nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))
"""


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    """What a command says, in one line on stderr, about a task that is defined by these lines."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SHARPMIN_TRACEBACK", raising=False)

    def check(lines, *options, verb="sharpness", code=1):
        (tmp_path / "own.py").write_text(HEAD + lines)
        assert run([verb, "own.py:make", "--threads", "1", "--quiet", *options]) == code
        found = capsys.readouterr()
        assert found.err.startswith("sharpmin: ")
        assert found.err.count("\n") == 1
        return found.err

    return check


def test_what_can_be_made_smaller_is_what_the_verb_has(said):
    refused = 'raise RuntimeError("DefaultCPUAllocator: can\'t allocate memory: you tried to allocate 9 bytes.\\nmore")'
    line = said(f"def loss(model, batch): {refused}\ndef make(): return net(), [(x, y)], loss")
    assert line.startswith("sharpmin: out of memory: DefaultCPUAllocator: can't allocate memory: you tried")
    assert line.endswith("; try a smaller --evaluation-batch or smaller batches of data of your own\n")


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("unable to mmap 40 bytes from file <a.pt>: Cannot allocate memory (12)"), True),
        (RuntimeError("more than one element of the tensor refers to a single memory location"), False),
    ],
)
def test_not_every_error_with_the_word_memory_in_it_is_a_lack_of_it(error, short):
    assert is_out_of_memory(error) is short


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        ("sharpness", ["--batch-norm", "batch"]),
        ("sharpness", ["--batch-norm", "recalibrate"]),
        ("spectrum", ["--batch-norm", "batch"]),
        ("noise-scale", ["--batch-norm", "batch"]),
    ],
)
def test_a_ragged_last_batch_of_one_example_under_batchnorm(said, verb, options):
    line = said("def make(): return net(), [(x[:8], y[:8]), (x[8:], y[8:])]", *options, verb=verb, code=2)
    assert "a batch of one example" in line


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (
            "def make(): return net(), [(x, y)], lambda model, batch: {}['a']",
            "failed at own.py:8 with KeyError: 'a'; S",
        ),
        (
            "def loss(model, batch): torch.zeros(1).expand(3).add_(1)\ndef make(): return net(), [(x, y)], loss",
            "failed at own.py:8 with RuntimeError: unsupported operation: more than one element",
        ),
        ("def make(): return nn.Linear(5, 3), [(x, y)]", "make failed with RuntimeError: mat1 and mat2 shapes"),
        ("def make(): return net(), [(x.tolist(), y)]", "a task without a loss of its own has batches (inputs,"),
        ("def make(): return net(), 5", "make failed with TypeError: 'int' object is not iterable"),
        ("import sys\ndef make(): sys.exit()", "failed at own.py:9 with SystemExit; what only a script"),
        ("import sys\nsys.exit(0)\ndef make(): pass", "failed at own.py:9 with SystemExit: 0; what only a script"),
    ],
)
def test_an_exception_of_the_task_is_one_line_that_says_where_it_was(said, lines, says):
    line = said(lines)
    assert line.startswith("sharpmin: own.py:make failed")
    assert says in line
    assert line.endswith("SHARPMIN_TRACEBACK=1 shows the traceback\n")


def test_an_exception_in_a_loaders_process_is_its_last_line(said):
    data = "class D:\n    def __len__(self): return 9\n    def __getitem__(self, i): return {}['a']"
    line = said(f"{data}\ndef make(): return net(), torch.utils.data.DataLoader(D(), num_workers=1)")
    assert "own.py:make failed with KeyError: 'a'; SHARPMIN" in line


def test_an_exception_of_ours_is_not_the_tasks(said, monkeypatch):
    monkeypatch.setattr("sharpmin.measures.sharpness", None)
    with pytest.raises(TypeError, match="'NoneType' object is not callable"):
        said("def make(): return net(), [(x, y)]")


def test_a_module_of_an_optimizer_that_exits(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exits.py").write_text("import sys; sys.exit()")
    assert run(["train", "-n", "F1", "--data", "synthetic", "--optimizer", "exits:Own", "--quiet"]) == 1
    assert "called sys.exit(None)" in capsys.readouterr().err


PAIR = "from types import SimpleNamespace\ndef make(): return net(), SimpleNamespace(inputs={}, targets={})"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (PAIR.format("x.tolist()", "y"), "the data's inputs or targets are list: make tensors of them"),
        (PAIR.format("x.numpy()", "y.tolist()"), "are list and ndarray: make tensors"),
        (PAIR.format("x", "y[:5]"), "the data have 9 inputs and 5 targets"),
        ("def make(): return net(), torch.utils.data.TensorDataset(x, y)", "are single examples: make batches of"),
    ],
)
def test_data_that_are_seen_to_be_wrong_at_once(said, lines, says):
    assert says in said(lines, code=2)
