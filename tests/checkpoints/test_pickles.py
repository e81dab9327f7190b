"""A pickle of more than tensors is refused, nothing in it is run, and the way out that is offered works."""

import argparse
import os
import pathlib
import pickle
import re
import shlex
import subprocess

import numpy as np
import pytest
import torch
from torch import nn

from sharpmin.checkpoints import fit, read_checkpoint
from sharpmin.errors import CheckpointError


class Calls:
    """Unpickles by calling a function."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


class Doubles(nn.Module):
    """The smallest program."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


def save_zip(content, file):
    torch.save(content, file)


def save_legacy(content, file):
    torch.save(content, file, _use_new_zipfile_serialization=False)


def save_plain(content, file):
    file.write_bytes(pickle.dumps(content))


def save_old_plain(content, file):
    file.write_bytes(pickle.dumps(content, protocol=2))


SAVES = [save_zip, save_legacy, save_plain, save_old_plain]


def refusal(file):
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(file)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert str(file) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("save", SAVES)
@pytest.mark.parametrize("inside", [lambda x: x, lambda x: {"state_dict": nn.Linear(3, 2).state_dict(), "hook": x}])
def test_a_malicious_file_is_refused_and_nothing_in_it_runs(tmp_path, save, inside):
    trap = tmp_path / "trap"
    attacks = [
        Calls(os.system, f"touch {trap}"),
        Calls(exec, f"open({str(trap)!r}, 'w').close()"),
        Calls(subprocess.call, ["touch", str(trap)]),
        Calls(pathlib.Path.touch, trap),
    ]
    for attack in attacks:
        save(inside(attack), tmp_path / "model.pt")
        assert "is refused" in refusal(tmp_path / "model.pt")
        assert not trap.exists()
        pickle.loads(pickle.dumps(attack))
        assert trap.exists()  # it was a real one
        trap.unlink()


@pytest.mark.parametrize("save", [save_zip, save_legacy])
@pytest.mark.parametrize(
    ("content", "name"),
    [
        (nn.Linear(3, 2), "torch.nn.modules.linear.Linear"),
        ({"model": nn.Linear(3, 2).state_dict(), "args": argparse.Namespace(lr=0.1)}, "argparse.Namespace"),
        ({"model": nn.Linear(3, 2).state_dict(), "best": np.float64(0.9)}, r"numpy\._?core\.multiarray\.scalar"),
        ({"model": nn.Linear(3, 2).state_dict(), "out": pathlib.PurePosixPath("x")}, r"pathlib\S*PurePosixPath"),
    ],
)
def test_what_is_more_than_tensors_is_named(tmp_path, save, content, name):
    save(content, tmp_path / "model.pt")
    assert re.search(f"is refused: it pickles {name}, and unpickling", refusal(tmp_path / "model.pt"))


def test_a_plain_pickle_and_an_unusual_protocol_are_refused(tmp_path):
    weights = nn.Linear(3, 2).state_dict()
    save_plain(weights, tmp_path / "plain.pkl")
    assert "is refused: it is a plain pickle. Save the tensors alone" in refusal(tmp_path / "plain.pkl")
    torch.save(weights, tmp_path / "four.pt", pickle_protocol=4)
    assert "it is damaged, or pickles more than tensors" in refusal(tmp_path / "four.pt")


def test_shards_of_a_distributed_model_are_to_be_gathered_first(tmp_path):
    save_legacy({"w": nn.Linear(3, 2)}, tmp_path / "rank0.pt")
    content = (tmp_path / "rank0.pt").read_bytes()
    forged = content.replace(b"torch.nn.modules.linear\nLinear\n", b"torch.distributed.tensor\nDTensor\n")
    assert forged != content
    (tmp_path / "rank0.pt").write_bytes(forged)
    allowed = torch.serialization.get_safe_globals()  # DTensor among them where PyTorch has imported it
    try:
        torch.serialization.clear_safe_globals()
        said = refusal(tmp_path / "rank0.pt")
    finally:
        torch.serialization.add_safe_globals(allowed)
    assert "holds the shards that one process had of a model: gather them before saving" in said


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_program_is_refused(tmp_path):
    torch.jit.script(Doubles()).save(tmp_path / "script.pt")
    assert "is refused: it is a TorchScript archive" in refusal(tmp_path / "script.pt")


def test_the_refusal_changes_nothing_for_the_next_file(tmp_path):
    torch.save(argparse.Namespace(), tmp_path / "bad.pt")
    before = torch.serialization.get_safe_globals()
    for _ in range(2):
        refusal(tmp_path / "bad.pt")
    assert torch.serialization.get_safe_globals() == before


def follow(said):
    """Do as the refusal says."""
    python, option, code = shlex.split(said.partition("under its key): ")[2])
    assert (python, option) == ("python", "-c")
    exec(code, {})


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # a command line need not close its file
def test_the_way_out_is_a_command_that_works(tmp_path):
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    extra = argparse.Namespace(lr=0.1)
    files = {
        "whole.pt": (save_zip, model),
        "legacy.pt": (save_legacy, {"state_dict": model.state_dict(), "args": extra}),
        "nested.pt": (save_zip, {"model": model.state_dict(), "args": extra}),
        "module.pt": (save_zip, {"model": model}),
        "plain.pkl": (save_plain, model.state_dict()),
        "arrays.pt": (save_zip, {name: tensor.numpy() for name, tensor in model.state_dict().items()}),
    }
    for name, (save, content) in files.items():
        save(content, tmp_path / name)
        follow(refusal(tmp_path / name))
        found = fit(read_checkpoint(tmp_path / f"{name.partition('.')[0]}.weights.pt"), model)
        assert all(torch.equal(found.weights[key], tensor) for key, tensor in model.state_dict().items())


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_it_keeps_every_state_dict_and_no_optimizer(tmp_path):
    model, average = nn.Linear(3, 2), nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(3)).sum().backward()
    optimizer.step()
    content = {"arch": "linear", "args": argparse.Namespace(lr=0.1), "epoch": 3, "best": np.float64(0.9)}
    content |= {"state_dict": model.state_dict(), "state_dict_ema": average.state_dict()}
    content |= {"optimizer": optimizer.state_dict(), "amp_scaler": {"scale": 1.0}, "names": np.array(["a", "b"])}
    torch.save(content, tmp_path / "checkpoint-3.pth.tar")
    follow(refusal(tmp_path / "checkpoint-3.pth.tar"))
    checkpoint = read_checkpoint(tmp_path / "checkpoint-3.pth.weights.pt")
    found = fit(checkpoint, model)
    assert (found.key, found.others) == ("state_dict", ("state_dict_ema",))
    assert torch.equal(found.weights["weight"], model.weight)
    assert torch.equal(fit(checkpoint, model, key="state_dict_ema").weights["weight"], average.weight)
    kept = torch.load(tmp_path / "checkpoint-3.pth.weights.pt")
    assert kept.keys() == {"state_dict", "state_dict_ema", "amp_scaler", "best"}
