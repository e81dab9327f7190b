"""Optimizers named by their class: torch's own and somebody's, taken, kept and gone on with to the same bits."""

import numpy as np
import pytest
import torch
from torch import nn

from cases import same_bits, softmax_regression, toy
from sharpmin.errors import TaskError, UsageError
from sharpmin.runs import Run
from sharpmin.train_config import TrainConfig
from sharpmin.training import train

OWN = '''
"""Optimizers of somebody's own."""

import functools

import torch

class Layerwise(torch.optim.Optimizer):
    """A step for each weight as long as the weight (LARS in small), and smaller from step to step."""

    def __init__(self, params, lr, decay=0.9):
        super().__init__(params, {"lr": lr, "decay": decay, "steps": 0})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            group["steps"] += 1
            group["seen"] = group.get("seen", torch.zeros(2)) + 1.5
            for p in group["params"]:
                state = self.state[p]
                state["used"] = state.get("used", 0) + 1
                state["scale"] = state.get("scale", 1.0) * group["decay"]
                state["mean"] = 0.5 * state.get("mean", torch.zeros_like(p)) + p.grad
                trust = (p.norm() / (p.grad.norm() + 1e-9)).item() + 1.0
                p.sub_(state["mean"], alpha=group["lr"] * trust * state["scale"] / group["seen"][0].item())

class Secretive(Layerwise):
    def step(self):
        super().step()
        for p in self.param_groups[0]["params"]:
            self.state[p]["history"] = ["a list"]

slower = functools.partial(Layerwise, decay=0.5)

def nothing(weights, lr): return None
def wants_more(weights, lr, momentum): return None
'''
TORCHS = ["RMSprop", "NAdam", "RAdam", "ASGD", "Adafactor", "Rprop", "AdamW", "Adamax"]


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "ownoptimizers.py").write_text(OWN)


def config(name, epochs=3):
    return TrainConfig(batch_size=16, epochs=epochs, learning_rate=0.01, optimizer=name)


def network():
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).to(torch.float32)


def trained(name, **how):
    torch.manual_seed(0)
    return train(network(), toy().train, config(name), **how)


def same_bytes(one, other):
    """Bit for bit, and of one type: a state's count may come back as an integer or a tensor, not as either."""
    return same_bits(one, other) and all(one[key].dtype == other[key].dtype for key in one)


@pytest.mark.parametrize(
    "name", [*(f"torch.optim:{name}" for name in TORCHS), "ownoptimizers:Layerwise", "ownoptimizers.py:slower"]
)
def test_it_goes_on_to_the_same_bits_through_a_run_folder(name, tmp_path):
    kept, run = [], Run(tmp_path)
    whole = trained(name, after_epoch=kept.append)
    for state in kept[:2]:
        run.save_state("x", state, finished=False)
        resumed = trained(name, state=run.load_state("x"))
        assert same_bits(whole.weights, resumed.weights)
        assert same_bytes(whole.moments, resumed.moments)


def test_all_that_it_remembers_is_kept():
    state = trained("ownoptimizers:Layerwise")
    assert {
        key: value.item() for key, value in state.moments.items() if key.startswith(("group:0.steps", "0.bias.used"))
    } == {
        "group:0.steps:number": 12,
        "0.bias.used:number": 12,
    }
    assert state.moments["group:0.seen"].tolist() == [18.0, 18.0]
    assert state.moments["0.bias.scale:number"].item() == pytest.approx(0.9**12, rel=1e-15)


def test_the_optimizers_that_were_here_before_keep_what_they_kept():
    kinds = {key.rpartition(".")[2] for key in trained("adam").moments}
    assert kinds == {"step", "exp_avg", "exp_avg_sq"}
    assert trained("sgd").moments == {}


def test_rmsprop_by_hand():
    problem = softmax_regression()
    w = problem.model.weight.detach().numpy().copy()
    nn.functional.cross_entropy(problem.model(problem.data.inputs), problem.data.targets).backward()
    g = problem.model.weight.grad.numpy().copy()
    given = TrainConfig(batch_size=23, epochs=1, learning_rate=0.05, optimizer="torch.optim:RMSprop")
    train(problem.model, problem.data, given)
    np.testing.assert_allclose(problem.model.weight.detach(), w - 0.05 * g / (np.sqrt(0.01 * g**2) + 1e-8), rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("torch.optim:Lion", UsageError, "torch.optim has no function 'Lion'"),
        ("nosuchpackage:Lars", UsageError, "no module 'nosuchpackage'"),
        ("torch.optim:", UsageError, "names no optimizer: give package.module:function"),
        ("ownoptimizers:nothing", UsageError, "made a NoneType: name a torch.optim.Optimizer"),
        ("ownoptimizers:wants_more", TaskError, "ownoptimizers:wants_more failed with TypeError"),
        ("ownoptimizers:Secretive", UsageError, "keeps a list .0.weight.history., which a checkpoint has no place for"),
    ],
)
def test_what_is_no_optimizer_says_so(name, error, says):
    with pytest.raises(error, match=says):
        trained(name)
