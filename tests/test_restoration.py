"""Whatever is measured, and however it ends, the caller's model and PyTorch's state are as they were, bit for bit."""

import copy
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from cases import examples, same_bits
from sharpmin.alignment import align
from sharpmin.batchnorm import FLAGS
from sharpmin.determinism import what_is_random
from sharpmin.landscape import CurveConfig, Grid, barrier, connect, lines, path, random_plane
from sharpmin.measures import (
    adaptive_sharpness,
    density,
    gaussian_sharpness,
    l2_sharpness,
    linf_sharpness,
    noise_scale,
    sharpness,
    spectrum,
    trace,
)
from sharpmin.monitor import Monitor
from sharpmin.objective import Objective

MEASURES = {
    "measure": lambda f: f.measure(f.theta + 1),
    "value_and_grad": lambda f: f.value_and_grad(f.theta + 1),
    "recalibrated": lambda f: f.recalibrated(f.theta),
    "measure_many": lambda f: f.measure_many([f.theta, f.theta + 1]),
    "plane": lambda f: random_plane(f, grid=Grid((0.0, 1.0), (0.0, 1.0))),
    "lines": lambda f: lines(f, draws=2, alphas=[0, 1]),
    "path": lambda f: path(f, f.theta, f.theta + 1, alphas=[0, 0.5, 1]),
    "barrier": lambda f: barrier(f, f.theta, f.theta + 1, alphas=[0, 0.5, 1]),
    "connect": lambda f: connect(on_batches(f), f.theta, f.theta + 1, CurveConfig(epochs=1), points=2),
    "align": lambda f: align(f.model, f.model.state_dict(), f.model.state_dict(), objective=f),
    "sharpness": lambda f: sharpness(f),
    "subspace": lambda f: sharpness(f, subspace=3),
    "l2": lambda f: l2_sharpness(f, steps=3),
    "adaptive": lambda f: adaptive_sharpness(f, steps=3),
    "linf": lambda f: linf_sharpness(f, steps=3),
    "gaussian": lambda f: gaussian_sharpness(f, samples=4),
    "spectrum": lambda f: spectrum(f, k=2),
    "trace": lambda f: trace(f, products=6),
    "density": lambda f: density(f, runs=2, steps=6),
    "noise_scale": lambda f: noise_scale(f, estimator="batches", batch_size=2 if f.batch_norm == "running" else None),
    "randomness": what_is_random,
    "monitor": lambda f: Monitor(f, measures=["loss", "distance", "lambda-max"])(0),
}


def on_batches(f):
    """The same f, normalised by the batch."""
    return f.with_buffers({}, batch_norm="batch")


class Fragile(nn.Module):
    """A network with everything that can be left changed; it fails at the call told."""

    def __init__(self, fails_at):
        super().__init__()
        self.first, self.norm, self.drop = nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Dropout(0.5)
        self.last, self.frozen = nn.Linear(5, 3), nn.Linear(3, 3)
        self.frozen.requires_grad_(False)
        self.norm.eval()  # a mixture of modes
        self.calls, self.fails_at = 0, fails_at

    def forward(self, x):
        self.calls += 1
        if self.calls == self.fails_at:
            raise KeyboardInterrupt
        return self.frozen(self.last(torch.tanh(self.drop(self.norm(self.first(x))))))


def everything(model):
    """All that must come back."""
    flags = [[getattr(m, flag, None) for flag in FLAGS] for m in model.modules()]
    grads = [(p.requires_grad, p.grad is None) for p in model.parameters()]
    modes = torch.is_grad_enabled(), torch.get_default_dtype(), torch.is_inference_mode_enabled()
    return flags, grads, modes, torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()  # noqa: NPY002


@pytest.mark.parametrize("fails_at", [None, 1, 3])
@pytest.mark.parametrize("batch_norm", ["running", "batch"])
@pytest.mark.parametrize("name", MEASURES)
def test_everything_comes_back(name, batch_norm, fails_at):
    model = Fragile(fails_at)
    f = Objective(model, examples(12, 4, dtype=torch.float32), batch_norm=batch_norm, batch_size=4)
    tensors, addresses = copy.deepcopy(model.state_dict()), [p.data_ptr() for p in model.parameters()]
    before = everything(model)
    try:
        MEASURES[name](f)
    except KeyboardInterrupt:
        assert fails_at is not None
    else:
        assert fails_at is None or model.calls < fails_at
    assert everything(model) == before
    assert same_bits(tensors, model.state_dict())
    assert [p.data_ptr() for p in model.parameters()] == addresses
    assert not model._forward_hooks


@pytest.mark.parametrize("fails", [False, True])
def test_a_weight_that_a_hook_makes_comes_back(fails):
    model = nn.Sequential(nn.Linear(4, 3))
    prune.l1_unstructured(model[0], "weight", amount=0.5)
    made = model[0].weight
    targets = torch.full((5,), 7) if fails else torch.arange(5) % 3  # there is no class 7
    f = Objective(model, [(torch.ones(5, 4), targets)])
    with pytest.raises(IndexError) if fails else nullcontext():
        f.value_and_grad(f.theta + 1)
    assert model[0].weight is made
