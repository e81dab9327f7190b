"""A convolution with fewer multiplications against PyTorch's, and where it is used."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from cases import F64, random
from sharpmin.blocked import Blocked, alike
from sharpmin.checkpointing import KEEPS
from sharpmin.data import Examples
from sharpmin.held import LiveBytes
from sharpmin.objective import Objective
from sharpmin.products import hessian_product
from sharpmin.winograd import OUTPUTS, POINTS, Winograd, gains, transforms

CL = torch.channels_last


def both(x, w, bias):
    """Outputs and gradients: ours, and those of a direct convolution."""
    inputs = [tensor.requires_grad_() for tensor in (x, w, bias)]
    ours, direct = Winograd.apply(x, w, bias), F.conv2d(x, w, bias, padding=w.shape[-1] // 2)
    along = random(*direct.shape, seed=9).to(direct)
    return ([y.detach(), *torch.autograd.grad(y, inputs, along)] for y in (ours, direct))


SIDES = st.integers(1, 4).map(lambda tiles: OUTPUTS * tiles)


@settings(max_examples=40, deadline=None)
@given(batch=st.integers(1, 20), size=st.tuples(SIDES, SIDES), taps=st.sampled_from([1, 3, 5]))
def test_the_outputs_and_gradients_of_a_direct_convolution_at_any_number_of_tiles(batch, size, taps):
    ours, direct = both(random(batch, 3, *size), random(2, 3, taps, taps, seed=1), random(2, seed=2))
    for a, b in zip(ours, direct, strict=True):
        assert (a - b).abs().max() <= 1e-12 * (1 + b.abs().max())


@pytest.mark.parametrize("taps", [3, 5])
def test_the_matrices_multiply_polynomials(taps):
    outputs, filters, inputs = (matrix.numpy() for matrix in transforms(taps, F64))
    n = OUTPUTS + taps - 1
    d, g = np.random.default_rng(0).standard_normal((n, n)), np.random.default_rng(1).standard_normal((taps, taps))
    tile = outputs @ ((filters @ g.ravel()) * (inputs @ d.ravel()))
    windows = np.lib.stride_tricks.sliding_window_view(d, (taps, taps))
    np.testing.assert_allclose(tile.reshape(OUTPUTS, OUTPUTS), (windows * g).sum((2, 3)), atol=1e-12)
    assert len(set(POINTS)) == len(POINTS)


@pytest.mark.parametrize(("taps", "bound"), [(3, 1.2e-6), (5, 6e-6)])  # 3 taps at 2 and -2: 1.4e-6
def test_rounding_in_float32_is_a_few_times_that_of_a_direct_convolution(taps, bound):
    x, w = F.relu(random(4, 64, 16, 16)), 0.05 * random(64, 64, taps, taps, seed=1)
    exact = F.conv2d(x, w, padding=taps // 2)
    errors = [
        ((y.double() - exact).square().mean() / exact.square().mean()).sqrt().item()
        for y in (Winograd.apply(x.float(), w.float(), None), F.conv2d(x.float(), w.float(), padding=taps // 2))
    ]
    assert 0 < errors[1] < errors[0] < bound


def test_the_outputs_lie_channels_last_and_inputs_need_no_gradient():
    x, w = random(2, 3, 8, 8).contiguous(memory_format=CL), random(4, 3, 5, 5).requires_grad_()
    y = Winograd.apply(x, w, None)
    assert y.is_contiguous(memory_format=CL)
    (dw,) = torch.autograd.grad(y.square().sum(), w)
    (expected,) = torch.autograd.grad(F.conv2d(x, w, padding=2).square().sum(), w)
    torch.testing.assert_close(dw, expected)


def test_a_second_derivative_is_refused():
    w = random(4, 3, 5, 5).requires_grad_()
    (dw,) = torch.autograd.grad(Winograd.apply(random(2, 3, 8, 8), w, None).square().sum(), w, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        dw.sum().backward()


@pytest.fixture
def avx2(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")


def layer(**other):
    return nn.Conv2d(**{"in_channels": 64, "out_channels": 64, "kernel_size": 5, "padding": 2, **other})


IMAGES = torch.zeros(1, 64, 4, 4)


def test_it_is_used_where_it_was_measured_to_gain(avx2, monkeypatch):
    assert gains(layer(), IMAGES)
    assert gains(layer(), IMAGES.double())
    assert gains(layer(kernel_size=3, padding=1), IMAGES)
    assert not gains(layer(), torch.zeros(1, 64, 4, 6))  # no whole tiles
    assert not gains(layer(), IMAGES.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        assert not gains(layer(), IMAGES)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert not gains(layer(), IMAGES)


@pytest.mark.parametrize(
    "other",
    [
        {"in_channels": 32},
        {"out_channels": 32},
        {"kernel_size": 3},
        {"kernel_size": 7, "padding": 3},
        {"padding": 0},
        {"padding": "same"},
        {"stride": 2},
        {"dilation": 2},
        {"groups": 2},
        {"padding_mode": "circular"},
    ],
    ids=str,
)
def test_other_layers_are_left_alone(other, avx2):
    assert not gains(layer(**other), IMAGES)


def network():
    """A chain with two convolutions that gain, in float64."""
    torch.manual_seed(0)
    norm = lambda: (nn.BatchNorm2d(64, track_running_stats=False), nn.ReLU())  # noqa: E731
    gaining = (layer(), *norm(), layer(kernel_size=3, padding=1), *norm())
    return nn.Sequential(nn.Conv2d(2, 64, 3, padding=1), *norm(), *gaining, nn.Flatten()).double()


def gradient(model, inputs, **how):
    return torch.autograd.grad(Blocked(model, block=4, **how)(inputs).square().sum(), list(model.parameters()))


def test_a_chain_goes_by_it_to_the_same_outputs_and_gradient(avx2, monkeypatch):
    used, own = [], Winograd.apply
    monkeypatch.setattr(Winograd, "apply", lambda *args: used.append(1) or own(*args))
    model, inputs = network(), random(10, 2, 8, 8)
    outputs = model(inputs)
    expected = torch.autograd.grad(outputs.square().sum(), list(model.parameters()))
    assert not used
    found = gradient(model, inputs)
    assert len(used) >= 2 * 3  # blocks
    for a, b in zip(found, expected, strict=True):
        assert (a - b).abs().max() < 1e-9
    with torch.no_grad():
        assert (Blocked(model, block=4)(inputs) - outputs).abs().max() < 1e-9


def test_f_has_the_same_value_with_and_without_its_gradient_and_second_derivatives_do_without(avx2, monkeypatch):
    used, own = [], Winograd.apply
    monkeypatch.setattr(Winograd, "apply", lambda *args: used.append(1) or own(*args))
    model = nn.Sequential(*network(), nn.Linear(64 * 8 * 8, 3).double())
    f = Objective(model, Examples(random(10, 2, 8, 8), torch.arange(10) % 3), batch_norm="batch")
    assert f.value(f.theta) == f.value_and_grad(f.theta)[0]
    assert used
    used.clear()
    assert hessian_product(f, f.theta, torch.ones_like(f.theta)).norm() > 0
    assert not used


def test_without_a_gradient_nothing_is_kept_for_one():
    x, w = random(1024, 3, 8, 8), random(4, 3, 5, 5)
    peaks = []
    for asked in (False, True):
        with LiveBytes(x, w) as live:
            Winograd.apply(x, w.requires_grad_(asked), None)
        peaks.append(live.peak)
    assert peaks[0] < peaks[1] / 2


def test_with_three_taps_nothing_is_kept_but_the_input():
    x, w = random(64, 3, 8, 8), random(4, 3, 3, 3).requires_grad_()
    with LiveBytes(x, w, *transforms(3, F64)) as live:
        y = Winograd.apply(x, w, None)
    assert live.alive == y.nbytes


def test_what_is_kept_for_the_backward_pass_does_not_show(avx2):
    model, inputs = network(), random(10, 2, 8, 8)
    first, *others = (gradient(model, inputs, keep=alike(model, keep)) for keep in KEEPS)
    assert all(torch.equal(a, b) for other in others for a, b in zip(first, other, strict=True))
