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
